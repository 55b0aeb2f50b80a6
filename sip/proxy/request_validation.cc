#include "sip/proxy/request_validation.h"

#include "absl/hash/hash.h"
#include "sip/message/value_list.h"
#include "sip/message/via.h"
#include "sip/proxy/hostless_uri.h"
#include "sip/proxy/max_breadth.h"

namespace sallyport::sip {
namespace {

std::string_view FirstValue(const MessageView& request, HeaderId id) {
  const HeaderField* const field = request.First(id);
  return field == nullptr ? std::string_view() : field->value;
}

bool IsOurs(const Via& via, uint32_t loop_hash, const BranchSigner& signer) {
  const std::optional<Branch> branch = signer.Read(via.branch);
  return branch.has_value() && branch->loop_hash == loop_hash;
}

// §16.3 step 4: a branch of ours below, with the same hash. Another hash is a spiral and legal.
bool HasLooped(const MessageView& request, uint32_t loop_hash, const BranchSigner& signer) {
  for (const HeaderField* field = request.First(HeaderId::kVia); field != nullptr;
       field = request.NextSame(field)) {
    ValueList values(field->value);
    std::string_view value;
    while (values.Next(value)) {
      Via via;
      if (ParseVia(value, via) && IsOurs(via, loop_hash, signer)) return true;
    }
  }
  return false;
}

}  // namespace

uint32_t LoopHash(const MessageView& request, const tls::MacKey& key) {
  const size_t hash = absl::HashOf(key, request.request_uri(), request.from().tag, request.to().tag,
                                   request.call_id(), request.cseq().number,
                                   FirstValue(request, HeaderId::kProxyRequire),
                                   FirstValue(request, HeaderId::kRoute));
  return static_cast<uint32_t>(hash ^ hash >> 32);
}

std::optional<ReasonCode> ValidateRequest(const MessageView& request, Zone from, uint32_t loop_hash,
                                          const BranchSigner& signer) {
  const MaxBreadthOutcome breadth = ReadMaxBreadth(request);
  if (breadth == MaxBreadthOutcome::kMalformed) return ReasonCode::kMalformed;
  const Uri& uri = request.parsed_request_uri();
  if (!uri.is_sip_or_sips() && !IsHostless(uri)) return ReasonCode::kUriScheme;
  if (request.max_forwards() == 0) return ReasonCode::kMaxForwards;
  if (from == Zone::kInside && signer.Read(request.top_via().branch).has_value()) {
    return ReasonCode::kLoop;
  }
  // The usual request has one Via, and it is not ours.
  const bool has_one_via = request.Count(HeaderId::kVia) == 1 && request.top_via_rest().empty();
  if (has_one_via ? IsOurs(request.top_via(), loop_hash, signer)
                  : HasLooped(request, loop_hash, signer)) {
    return ReasonCode::kLoop;
  }
  // We support no extension that a proxy must understand.
  if (request.Has(HeaderId::kProxyRequire)) return ReasonCode::kProxyRequire;
  if (breadth == MaxBreadthOutcome::kExhausted) return ReasonCode::kMaxBreadth;
  return std::nullopt;
}

}  // namespace sallyport::sip
