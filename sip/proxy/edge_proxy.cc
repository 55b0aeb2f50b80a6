#include "sip/proxy/edge_proxy.h"

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstring>
#include <utility>

#include "absl/hash/hash.h"
#include "core/check.h"
#include "sip/message/content_length.h"
#include "sip/message/message_writer.h"
#include "sip/message/params.h"
#include "sip/message/plain_message.h"
#include "sip/message/value_list.h"
#include "sip/policy/judge.h"
#include "sip/proxy/forwarding.h"
#include "sip/proxy/mail_kinds.h"
#include "sip/proxy/max_breadth.h"
#include "sip/proxy/registration.h"
#include "sip/proxy/request_validation.h"
#include "sip/proxy/target_order.h"
#include "sip/proxy/transport_parameter.h"
#include "sip/proxy/via_mark.h"

namespace sallyport::sip {
namespace {

// Of a Request-URI's host in a cause; a DNS name has 253 at most.
constexpr size_t kRelayHostBytesMax = 253;
constexpr size_t kRelayCauseBytes = 320;
// A CANCEL between shards.
constexpr size_t kMailedCancelBytesMax = 4096;

// Of a plain connection, or a datagram, from outside: it proves nothing.
const PeerStanding& Nobody() {
  static const PeerStanding* const nobody = new PeerStanding();
  return *nobody;
}

const PeerStanding& StandingOf(const MessageSource& source) {
  const bool is_known = source.connection != nullptr && source.connection->standing() != nullptr;
  return is_known ? *source.connection->standing() : Nobody();
}

MessageKind KindOf(const MessageView& message) {
  if (!message.is_request()) return MessageKind::kResponse;
  if (message.method() == Method::kInvite) return MessageKind::kInvite;
  if (message.method() == Method::kRegister) return MessageKind::kRegister;
  return message.to().tag.empty() ? MessageKind::kOther : MessageKind::kInDialog;
}

ParseErrorReason LabelOf(ParseOutcome outcome) {
  switch (outcome) {
    case ParseOutcome::kBadStartLine:
    case ParseOutcome::kBadVersion:
      return ParseErrorReason::kStartLine;
    case ParseOutcome::kBadRequestUri:
      return ParseErrorReason::kUri;
    case ParseOutcome::kMissingContentLength:
    case ParseOutcome::kRepeatedContentLength:
    case ParseOutcome::kBadContentLength:
    case ParseOutcome::kBadBody:
      return ParseErrorReason::kLength;
    case ParseOutcome::kTooManyHeaders:
      return ParseErrorReason::kTooLarge;
    default:
      return ParseErrorReason::kHeader;
  }
}

// Which row of the verdict table a syntax error belongs to.
ReasonCode ReasonOf(ParseOutcome outcome) {
  if (IsFromOutcome(outcome)) return ReasonCode::kFromMalformed;
  switch (outcome) {
    case ParseOutcome::kBadVersion:
      return ReasonCode::kVersion;
    case ParseOutcome::kTooManyHeaders:
      return ReasonCode::kTooLarge;
    case ParseOutcome::kMissingContentLength:
    case ParseOutcome::kBadContentLength:
      return ReasonCode::kFraming;
    default:
      return ReasonCode::kMalformed;
  }
}

// A proxy inside passes on the bare CR or LF of a telephone. That costs no other message, if all
// readers agree where the next one begins. From outside nothing of it is read any further.
bool LosesConnection(ParseOutcome outcome, Zone zone, std::string_view message) {
  const bool is_passed_on = zone == Zone::kInside && outcome == ParseOutcome::kBadLineEnd;
  return LosesFraming(outcome) && !(is_passed_on && HasOneLength(message));
}

// From inside we take what is no danger there: two Content-Length that agree, and a From outside
// the grammar, which nothing is judged by.
ParseOutcome JudgeOutside(const MessageView& message) {
  if (message.Count(HeaderId::kContentLength) > 1) return ParseOutcome::kRepeatedContentLength;
  // Kamailio 5.6 ends the connection for it, even where it is legal.
  if (message.to().params.find('\\') != std::string_view::npos) return ParseOutcome::kBadTo;
  const bool is_request = message.is_request();
  return is_request && message.from().uri.is_odd ? ParseOutcome::kBadFrom : ParseOutcome::kOk;
}

IdentityCheckResult LabelOf(const IdentityDecision& decision) {
  if (decision.accepted) {
    return decision.from_covered ? IdentityCheckResult::kPass : IdentityCheckResult::kExempt;
  }
  return decision.reason == ReasonCode::kNoIdentity ? IdentityCheckResult::kNoIdentity
                                                    : IdentityCheckResult::kMismatch;
}

std::string_view CauseOf(const IdentityDecision& decision) {
  if (decision.has_expired) return "the certificate has expired";
  if (decision.reason == ReasonCode::kNoIdentity) {
    return "the certificate names nothing that counts; a wildcard is no identity";
  }
  switch (decision.verdict) {
    case FromVerdict::kNotCovered:
      return "the certificate speaks for another host, or for another user of this host";
    case FromVerdict::kNamesNoDomain:
      return "it names no domain: tel, another scheme, or an IP address";
    default:
      return {};
  }
}

// Those whose Record-Route becomes the route set of a dialog (RFC 3261 §12.1, §16.6 step 4).
bool FormsDialog(const MessageView& request) {
  if (!request.to().tag.empty()) return false;
  return request.method() == Method::kInvite || request.method() == Method::kSubscribe ||
         request.method() == Method::kRefer;
}

// Those that may become a dialog where they arrive. Without From-tag (RFC 3261 §8.1.1.3) nothing
// would tell its later requests from ones out of dialog.
bool MayMakeDialog(const MessageView& request) {
  switch (request.method()) {
    case Method::kInvite:
    case Method::kSubscribe:
    case Method::kRefer:
    case Method::kNotify:
      return true;
    default:
      return false;
  }
}

RequestClass ClassOf(const MessageView& request) {
  if (!request.to().tag.empty()) return RequestClass::kInDialog;
  return FormsDialog(request) ? RequestClass::kNewDialog : RequestClass::kOther;
}

// The number in a URI, with the port that its transport has by default; nothing for a name.
TransportAddress NumericTargetOf(std::string_view value) {
  NameAddr address;
  if (ParseNameAddr(value, address) != NameAddrOutcome::kOk || !address.uri.is_sip_or_sips() ||
      PairLineFormOf(address.uri.user) != PairLineForm::kNone) {
    return {};
  }
  TransportAddress target;
  const std::optional<std::string_view> transport = FindParam(address.uri.params, "transport");
  const bool is_secure = address.uri.scheme == Uri::Scheme::kSips;
  if (const auto named = TransportOf(transport.value_or("udp"))) target.transport = *named;
  if (is_secure) target.transport = TransportProtocol::kTls;
  const uint16_t standard = target.transport == TransportProtocol::kTls ? 5061 : 5060;
  const auto parsed = core::SocketAddress::FromHost(
      address.uri.host, address.uri.port == 0 ? standard : address.uri.port);
  if (parsed.has_value()) target.address = *parsed;
  return target;
}

std::string_view FirstValueOf(const MessageView& message, HeaderId id) {
  const HeaderField* const field = message.First(id);
  std::string_view value;
  if (field == nullptr) return {};
  ValueList values(field->value);
  return values.Next(value) ? value : std::string_view();
}

// A token that this request needs was one of ours once (RFC 6665 §4.1.2.2: subscribe anew).
bool MayLoseSubscription(const MessageView& request, const TokenRights& rights,
                         ExcuseOutcome excuse) {
  return (request.method() == Method::kSubscribe || request.method() == Method::kNotify) &&
         (excuse == ExcuseOutcome::kExpired || rights.fault == RouteFault::kUnknownKey);
}

AdmissionSource AdmissionSourceOf(const MessageSource& source) {
  return source.connection != nullptr ? AdmissionSourceOf(*source.connection)
                                      : AdmissionSource{source.zone, source.address};
}

// Tells an address inside from the same one outside.
constexpr uint64_t kInsideHolder = 0x1D51DE1D51DE1D51;

ShareUse UseOf(const MessageView& request) {
  return request.to().tag.empty() ? ShareUse::kNew : ShareUse::kInDialog;
}

// Some causes name the host that was asked for.
std::string_view CauseOf(const RouteDecision& decision, const MessageView& request,
                         std::span<char> room) {
  if (!decision.names_host) return decision.cause;
  const std::string_view host = request.parsed_request_uri().host.substr(0, kRelayHostBytesMax);
  const int bytes =
      std::snprintf(room.data(), room.size(), "relay: %.*s %.*s", static_cast<int>(host.size()),
                    host.data(), static_cast<int>(decision.cause.size()), decision.cause.data());
  return {room.data(), std::min(static_cast<size_t>(bytes), room.size() - 1)};
}

}  // namespace

EdgeProxy::EdgeProxy(ShardContext& context, ConnectionTable& connections,
                     const EdgeProxyOptions& options)
    : context_(context),
      connections_(connections),
      admission_(*options.admission),
      parties_(*options.parties),
      branches_(context.snapshot->branches),
      branches_before_(context.snapshot->branches),
      loop_key_(options.keys.loop),
      local_tag_(options.keys.to_tag),
      mail_shares_(context),
      slot_shares_(options.transactions_max),
      byte_shares_(context.reactor().buffers().bytes_max() / 2),
      transactions_(options.transactions_max, options.keys.transaction),
      endpoints_(context, connections, *this,
                 {options.endpoints_max, options.outbound_connections_max}),
      locator_(context.reactor(), *options.dns, *this, options.keys.dns) {
  OnNewSnapshot();
}

EdgeProxy::~EdgeProxy() = default;

void EdgeProxy::OnNewSnapshot() {
  if (!branches_.HasSameKeys(context_.snapshot->branches)) {
    branches_before_ = std::exchange(branches_, context_.snapshot->branches);
  }
  endpoints_.OnNewSnapshot();
  PinEndpoints();
  learn_at_ = {};
}

bool EdgeProxy::IsInUse(const Connection& connection) {
  return (connection.is_dialled() && unanswered_ > 0) || endpoints_.IsInUse(connection);
}

// -- Messages in -------------------------------------------------------------------------------

void EdgeProxy::OnFrame(Connection& connection, const Frame& frame, std::string_view unread) {
  OnStreamFrame({connection.zone(), connection.peer(), connection.listener(), &connection, nullptr},
                frame, unread);
}

void EdgeProxy::OnEndpointFrame(Connection& connection, const Endpoint* endpoint,
                                const Frame& frame, std::string_view unread) {
  const uint32_t listener = endpoint == nullptr ? 0 : endpoint->key.listener;
  OnStreamFrame({connection.zone(), connection.peer(), listener, &connection, nullptr}, frame,
                unread);
}

bool EdgeProxy::MayServe(Connection& connection) {
  return MayServeNow(admission_, AdmissionSourceOf(connection), context_.reactor());
}

void EdgeProxy::OnServed(Connection&) { StopServingNow(admission_, context_.reactor()); }

void EdgeProxy::OnDatagram(std::string_view bytes, const core::SocketAddress& source,
                           uint32_t listener, core::DatagramSocket& socket) {
  if (bytes.find_first_not_of("\r\n") == std::string_view::npos) return;  // A keep-alive.
  const Zone zone = context_.snapshot->config.listeners[listener].zone;
  OnMessage({zone, source, listener, nullptr, &socket}, bytes, Framing::kDatagram);
}

void EdgeProxy::OnStreamFrame(const MessageSource& source, const Frame& frame,
                              std::string_view unread) {
  if (frame.outcome != FrameOutcome::kMessage) return OnBadFrame(source, frame, unread);
  OnMessage(source, frame.bytes, Framing::kStream);
}

// Answered as well as the bytes that are there allow. Where the next boundary is unknown the
// connection ends.
void EdgeProxy::OnBadFrame(const MessageSource& source, const Frame& frame,
                           std::string_view unread) {
  const bool is_too_large = frame.outcome != FrameOutcome::kBadFraming;
  context_.Count(context_.metrics.sip_parse_errors.Slot(is_too_large ? ParseErrorReason::kTooLarge
                                                                     : ParseErrorReason::kFraming));
  const std::string_view readable = frame.bytes.empty() ? unread : frame.bytes;
  static_cast<void>(ParseMessage(readable, Framing::kStream, view_,
                                 context_.snapshot->config.limits.headers_max));
  const bool closes = frame.outcome != FrameOutcome::kTooLarge;
  if (!view_.is_request()) {
    DropResponse(ResponseDropReason::kMalformed, ResponseSourceOf(source), nullptr,
                 is_too_large ? "it is too large" : "its length is missing or unreadable");
    if (closes) source.connection->Close(ConnectionCloseReason::kError);
    return;
  }
  Refuse(source, is_too_large ? ReasonCode::kTooLarge : ReasonCode::kFraming,
         {.cause = is_too_large ? "header-bytes or body-bytes" : std::string_view(),
          .closes = closes,
          .parsed = false});
}

ResponseSource EdgeProxy::ResponseSourceOf(const MessageSource& source) const {
  ResponseSource from{source.address, source.peer(), {}, context_.shard.index(), source.zone};
  if (source.connection != nullptr) from.connection = source.connection->id();
  return from;
}

void EdgeProxy::OnMessage(const MessageSource& source, std::string_view bytes, Framing framing) {
  const core::MonotonicTime begin = context_.reactor().io().MonotonicNow();
  ParseOutcome outcome =
      ParseMessage(bytes, framing, view_, context_.snapshot->config.limits.headers_max);
  if (outcome == ParseOutcome::kOk && source.zone == Zone::kOutside) outcome = JudgeOutside(view_);
  const bool is_too_long =  // The framer sees to it on a stream.
      framing == Framing::kDatagram &&
      view_.header_block().size() > context_.snapshot->config.limits.header_bytes_max;
  if (outcome == ParseOutcome::kOk && is_too_long) outcome = ParseOutcome::kTooManyHeaders;
  core::BufferLease plain;  // Lives as long as the view.
  if (outcome == ParseOutcome::kOk) {
    if (const auto reason = MakePlain(source, framing, plain)) return RefuseUnread(source, *reason);
  }
  if (!view_.is_request()) {
    context_.Count(context_.metrics.sip_responses.Slot(
        MetricDirection::kIn, std::clamp(view_.status_code() / 100, 1, 6) - 1));
    if (outcome != ParseOutcome::kOk) {
      DropResponse(ResponseDropReason::kMalformed, ResponseSourceOf(source), nullptr,
                   ParseOutcomeText(outcome));
      if (source.connection != nullptr && LosesConnection(outcome, source.zone, bytes)) {
        source.connection->Close(ConnectionCloseReason::kError);
      }
      return;
    }
    OnResponse(ResponseSourceOf(source));
  } else {
    context_.Count(context_.metrics.sip_requests.Slot(MetricDirection::kIn, view_.method()));
    if (outcome != ParseOutcome::kOk) {
      context_.Count(context_.metrics.sip_parse_errors.Slot(LabelOf(outcome)));
      const ReasonCode reason = ReasonOf(outcome);
      const std::string_view phrase =
          reason == ReasonCode::kMalformed ? ParseOutcomeText(outcome) : std::string_view();
      return Refuse(source, reason,
                    {.phrase = phrase,
                     .closes = LosesConnection(outcome, source.zone, bytes),
                     .parsed = false});
    }
    OnRequest(source);
  }
  const core::MonotonicTime end = context_.reactor().io().MonotonicNow();
  context_.metrics.sip_message_processing.Observe(
      context_.stats, static_cast<uint64_t>(end.nanoseconds - begin.nanoseconds), KindOf(view_));
}

// What is folded, or spaced in an odd way where everybody reads it, goes on in plain lines, and is
// judged as it goes on (plain_message.h). Returns why that cannot be.
std::optional<ReasonCode> EdgeProxy::MakePlain(const MessageSource& source, Framing framing,
                                               core::BufferLease& plain) {
  const bool removes = source.zone == Zone::kOutside && view_.has_unusual_names();
  if (!view_.has_odd_lines() && !removes) return std::nullopt;
  const size_t room = view_.bytes().size() + kPlainGrowthMax;
  if (room > core::BufferPool::kBlockBytesMax) return ReasonCode::kTooLarge;
  plain = context_.reactor().buffers().Lease(static_cast<uint32_t>(room));
  if (!plain) return ReasonCode::kOverload;
  auto* const out = reinterpret_cast<char*>(plain.data());
  const PlainMessage written = WritePlain(view_, removes, {out, room});
  context_.Count(context_.metrics.sip_messages_rewritten.Slot(
      written.removed > 0 ? RewriteReason::kFieldRemoved : RewriteReason::kPlainLines));
  const ParseOutcome outcome = ParseMessage({out, written.bytes}, framing, view_,
                                            context_.snapshot->config.limits.headers_max);
  if (outcome != ParseOutcome::kOk) return ReasonCode::kMalformed;
  return std::nullopt;
}

void EdgeProxy::RefuseUnread(const MessageSource& source, ReasonCode reason) {
  if (view_.is_request()) return Refuse(source, reason, {.parsed = false});
  DropResponse(reason == ReasonCode::kOverload ? ResponseDropReason::kOverload
                                               : ResponseDropReason::kMalformed,
               ResponseSourceOf(source), nullptr, "it could not be written on plain lines");
}

void EdgeProxy::OnMail(uint32_t kind, std::span<const std::byte> record) {
  const std::string_view text(reinterpret_cast<const char*>(record.data()), record.size());
  const auto read = [&text](auto& header) {
    CHECK(text.size() >= sizeof header);
    std::memcpy(&header, text.data(), sizeof header);
    return text.substr(sizeof header);
  };
  switch (kind) {
    case kMailResponse: {
      ResponseSource source;
      const std::string_view bytes = read(source);
      // The other shard has parsed it, too.
      if (ParseMessage(bytes, Framing::kDatagram, view_,
                       context_.snapshot->config.limits.headers_max) == ParseOutcome::kOk) {
        OnResponse(source);
      }
      return;
    }
    case kMailFlowRequest: {
      FlowMail mail;
      const std::string_view bytes = read(mail);
      return endpoints_.OnFlowMail(mail, bytes);
    }
    case kMailFlowLost: {
      FlowMail mail;
      static_cast<void>(read(mail));
      return endpoints_.OnFlowLostMail(mail);
    }
    case kMailFlowFull: {
      FlowMail mail;
      static_cast<void>(read(mail));
      return OnFlowFull(mail);
    }
    case kMailHealth: {
      HealthMail mail;
      static_cast<void>(read(mail));
      if (mail.snapshot != context_.snapshot->version) return;
      return ApplyProbe(mail.next_hop, mail.target, mail.is_alive != 0);
    }
    case kMailCancel: {
      CancelMail mail;
      const std::string_view bytes = read(mail);
      if (ParseMessage(bytes, Framing::kDatagram, view_,
                       context_.snapshot->config.limits.headers_max) == ParseOutcome::kOk) {
        OnCancelMail(mail);
      }
      return;
    }
    default:
      UNREACHABLE();
  }
}

// -- Requests ----------------------------------------------------------------------------------

// The order of judging, one step after the other.
void EdgeProxy::OnRequest(const MessageSource& source) {
  if (IsAckOfRefusal(source)) return;
  // 1. Syntax. The parser has judged the rest; here Route is read. What of it is ours goes: bare
  //    values that name us, then one pair or one Path value.
  RequestContext request{source, ReadOwnRoutes(view_, context_.snapshot->names, source.zone)};
  if (request.own.malformed) {
    return Refuse(source, ReasonCode::kMalformed, {.phrase = "Malformed Route Header"});
  }
  if (source.zone == Zone::kOutside && MayMakeDialog(view_) && view_.from().tag.empty()) {
    return Refuse(source, ReasonCode::kMalformed, {.phrase = "Missing From Tag"});
  }
  //    That pair or Path value is the only token that is looked at, and this the right it gives.
  ReadRights(request);
  // 2. Identity. A dialog token of that pair may excuse a From.
  if (!PassesJudgement(request)) return;
  NoteAlias(source);
  if (view_.method() == Method::kAck) return OnAck(request);
  if (view_.method() == Method::kCancel) return OnCancel(source);

  const uint64_t key = transactions_.KeyOf(source.peer(), view_);
  if (Transaction* const known = transactions_.FindByKey(key)) {
    return OnRetransmission(source, *known);  // The same request again: §17.2.
  }
  const RouteDecision decision =
      DecideRoute(view_, source.zone, request.own, request.rights, *context_.snapshot);
  if (decision.kind == RouteKind::kAnswerItself) return Answer(source, 200, "OK", {}, true);
  // 3. RFC 3261 §16.3.
  const uint32_t loop_hash = LoopHash(view_, loop_key_);
  if (const auto reason =
          ValidateRequest(view_, source.zone, loop_hash, context_.snapshot->branches)) {
    return Refuse(source, *reason);
  }
  // 4. and 5. Relay and route.
  if (decision.kind == RouteKind::kRefuse) return RefuseRoute(source, decision);
  if (!PassesSips(source)) return;
  // 6. Overload and limits.
  if (!PassesLimits(source)) return;
  Begin(request, decision, key, loop_hash);
}

// Of a refusal that left no transaction: that has been judged, counted and logged already.
bool EdgeProxy::IsAckOfRefusal(const MessageSource& source) {
  return view_.method() == Method::kAck && local_tag_.IsAckOfOurs(view_) &&
         transactions_.FindByKey(transactions_.KeyOf(source.peer(), view_)) == nullptr;
}

void EdgeProxy::ReadRights(RequestContext& request) const {
  if (request.own.token == OwnRoutes::Token::kNone) return;
  const MessageSource& source = request.source;
  const RequestOrigin origin{source.zone, source.listener, &StandingOf(source)};
  request.rights = ReadTokenRights(view_, request.own, origin, *context_.snapshot);
  // A Request-URI of our form is a strict router's work only if it and the first Route are a pair.
  if (request.own.strict_fixup && request.rights.route == RouteRight::kNone) {
    request.own =
        ReadOwnRoutes(view_, context_.snapshot->names, source.zone, StrictRoutes::kIgnored);
  }
}

bool EdgeProxy::PassesJudgement(RequestContext& request) {
  if (request.source.zone == Zone::kInside) return true;
  const PeerStanding& standing = StandingOf(request.source);
  const int64_t now = context_.WallSeconds();
  IdentityDecision decision = JudgeRequest(standing, view_, now);
  bool is_subscription_lost = false;
  if (!decision.accepted && decision.reason == ReasonCode::kFromNotCovered) {
    const ExcuseOutcome excuse =
        ReadExcuse(view_, request.own, request.rights, *context_.snapshot, now);
    if (excuse == ExcuseOutcome::kExcused) {
      decision = JudgeRequest(standing, view_, now, FromExcuse::kDialogToken);
    }
    is_subscription_lost = MayLoseSubscription(view_, request.rights, excuse);
  }
  context_.Count(context_.metrics.identity_checks.Slot(LabelOf(decision)));
  request.from_covered = decision.from_covered;
  request.drops_referred_by = decision.drops_referred_by;
  if (decision.accepted) return true;
  RefusalDetail detail = is_subscription_lost ? SubscriptionLost() : RefusalDetail();
  detail.cause = CauseOf(decision);
  detail.closes = decision.has_expired;
  Refuse(request.source, decision.reason, detail);
  return false;
}

void EdgeProxy::RefuseRoute(const MessageSource& source, const RouteDecision& decision) {
  RefusalDetail detail = decision.is_subscription_lost ? SubscriptionLost() : RefusalDetail();
  std::array<char, kRelayCauseBytes> storage;
  detail.cause = CauseOf(decision, view_, storage);
  Refuse(source, decision.reason, detail);
}

// RFC 5923 §5: a peer may be called back on the connection that it opened if it asks for that and
// its certificate proves the name by which it wants to be called.
void EdgeProxy::NoteAlias(const MessageSource& source) {
  const Via& via = view_.top_via();
  Connection* const connection = source.connection;
  if (!via.has_alias || connection == nullptr || source.zone != Zone::kOutside ||
      connection->is_dialled() || !connection->is_tls() ||
      !StandingOf(source).identities.CoversDomain(via.host)) {
    return;
  }
  endpoints_.NoteAlias(*connection, via.port != 0 ? via.port : uint16_t{5061});
}

// RFC 5630: what the listener wants. That a sips request leaves over TLS alone, its targets see to.
bool EdgeProxy::PassesSips(const MessageSource& source) {
  const bool is_sips = view_.parsed_request_uri().scheme == Uri::Scheme::kSips;
  // What came without protection cannot be protected from here on (RFC 3261 §26.2.2).
  const bool is_plain = source.connection == nullptr || !source.connection->is_tls();
  const SipsPolicy policy = source.listener < context_.snapshot->config.listeners.size()
                                ? context_.snapshot->config.listeners[source.listener].sips
                                : SipsPolicy::kAllowed;
  if (is_sips && (policy == SipsPolicy::kOff || is_plain)) {
    Refuse(source, ReasonCode::kSips);
    return false;
  }
  if (!is_sips && policy == SipsPolicy::kRequired) {
    Refuse(source, ReasonCode::kSips, {.sips_required = true});
    return false;
  }
  return true;
}

// What it proves, else its address. The inside counts by address, too: one element there that gets
// no answers must not take the table from the others, nor from the outside.
uint64_t EdgeProxy::HolderOf(const MessageSource& source) const {
  const AdmissionSource from = AdmissionSourceOf(source);
  if (from.zone == Zone::kInside) return absl::HashOf(kInsideHolder, from.address.WithPort(0));
  return from.identity != 0 ? from.identity : admission_.KeyOf(from.address);
}

bool EdgeProxy::HasSlotFor(const MessageSource& source) const {
  return !transactions_.full() &&
         (slot_shares_.HasPlenty(1) || slot_shares_.HasRoom(HolderOf(source), 1, UseOf(view_)));
}

bool EdgeProxy::MayKeep(const Transaction& transaction, size_t bytes, ShareUse use) {
  return bytes <= core::BufferPool::kBlockBytesMax &&
         transaction.byte_share.MayGrow(
             core::BufferPool::BlockBytesFor(static_cast<uint32_t>(bytes)), use);
}

bool EdgeProxy::PassesLimits(const MessageSource& source) {
  if (draining_ && view_.to().tag.empty()) {
    Refuse(source, ReasonCode::kOverload, {.cause = "draining"});
    return false;
  }
  if (!HasSlotFor(source)) {
    Refuse(source, ReasonCode::kLimit, {.cause = "transactions"});
    return false;
  }
  const auto reason = admission_.RefusalOf(AdmissionSourceOf(source), ClassOf(view_),
                                           AdmissionTurnOf(context_.reactor()));
  if (!reason.has_value()) return true;
  const bool is_rate = *reason == ReasonCode::kLimit;
  Refuse(source, *reason, {.cause = is_rate ? "messages-per-second" : "queue-delay"});
  return false;
}

void EdgeProxy::OnRetransmission(const MessageSource& source, Transaction& transaction) {
  context_.Count(context_.metrics.sip_retransmissions.Slot(MetricDirection::kIn));
  if (transaction.reply_is_reliable) {  // What was sent has arrived.
    const bool is_pending =
        transaction.is_invite() && transaction.server == ServerState::kProceeding;
    if (is_pending) Answer(source, 100, "Trying", {}, true);
    return;
  }
  const ServerStep step = transaction.is_invite()
                              ? AdvanceInviteServer(transaction.server, ServerEvent::kRequest,
                                                    transaction.reply_is_reliable)
                              : AdvanceNonInviteServer(transaction.server, ServerEvent::kRequest,
                                                       transaction.reply_is_reliable);
  if (step.action != ServerAction::kResend) return;
  if (transaction.response_bytes > 0) {
    context_.Count(context_.metrics.sip_retransmissions.Slot(MetricDirection::kOut));
    static_cast<void>(SendOn(
        transaction.reply,
        {reinterpret_cast<const char*>(transaction.response.data()), transaction.response_bytes}));
  } else if (transaction.is_invite()) {
    Answer(source, 100, "Trying", {}, true);
  }
}

void EdgeProxy::OnAck(const RequestContext& request) {
  const MessageSource& source = request.source;
  Transaction* const transaction =
      transactions_.FindByKey(transactions_.KeyOf(source.peer(), view_));
  if (transaction != nullptr && transaction->server != ServerState::kAccepted) {
    // It acknowledges a failure and ends here (§17.1.1.3); ours to the next hop has gone long ago.
    transaction->server =
        AdvanceInviteServer(transaction->server, ServerEvent::kAck, transaction->reply_is_reliable)
            .next;
    if (transaction->server == ServerState::kConfirmed &&
        transaction->client == ClientState::kTerminated && !transaction->has_given_up) {
      ScheduleDeadline(*transaction, kTimerI);
    }
    return SettleTransaction(*transaction);
  }
  ForwardAck(request);
}

// The ACK of a 2xx is a request of its own (§13.2.2.4): judged before, forwarded without state; but
// where its target must be looked up or dialled, it waits for that like any other.
void EdgeProxy::ForwardAck(const RequestContext& request) {
  const MessageSource& source = request.source;
  if (!admission_.MayAcknowledge(AdmissionSourceOf(source), context_.reactor().now())) {
    return DropAck(AckDropReason::kRefused, source, "its source sends too many");
  }
  const uint32_t loop_hash = LoopHash(view_, loop_key_);
  const RouteDecision decision =
      DecideRoute(view_, source.zone, request.own, request.rights, *context_.snapshot);
  if (const auto invalid =
          ValidateRequest(view_, source.zone, loop_hash, context_.snapshot->branches)) {
    return DropAck(AckDropReason::kNoTransaction, source, CodeText(*invalid));
  }
  if (decision.kind == RouteKind::kRefuse || decision.kind == RouteKind::kAnswerItself) {
    std::array<char, kRelayCauseBytes> storage;
    const std::string_view cause = CauseOf(decision, view_, storage);
    return DropAck(AckDropReason::kNoTransaction, source,
                   cause.empty() ? CodeText(decision.reason) : cause);
  }
  if (!HasSlotFor(source)) {
    return DropAck(AckDropReason::kNoTransaction, source, "too many transactions");
  }
  Transaction* const transaction = CreateTransaction(request, decision, 0);
  transaction->loop_hash = loop_hash;
  if (const auto reason = StoreRequest(request, decision, *transaction)) {
    EraseTransaction(*transaction);
    return DropAck(AckDropReason::kNoTransaction, source, CodeText(*reason));
  }
  FindTargets(*transaction);
}

void EdgeProxy::OnCancel(const MessageSource& source) {
  Transaction* const transaction =
      transactions_.FindByKey(transactions_.KeyOf(source.peer(), view_));
  if (transaction != nullptr && transaction->is_invite()) {
    Answer(source, 200, "OK", {}, true);  // §9.2: whatever becomes of the INVITE.
    return CancelTransaction(*transaction);
  }
  CancelMail mail;
  mail.source = ResponseSourceOf(source);
  mail.listener = source.listener;
  const uint32_t next = (context_.shard.index() + 1) % context_.shard.shards();
  if (next == context_.shard.index()) mail.state = CancelMail::State::kNowhere;
  if (mail.state == CancelMail::State::kWanted) {
    if (MailCancel(next, mail)) return;
    mail.state = CancelMail::State::kNoRoom;
  }
  AnswerLostCancel(source, mail.state);
}

// Its INVITE was not found, or not looked for on every shard.
void EdgeProxy::AnswerLostCancel(const MessageSource& source, CancelMail::State state) {
  constexpr uint16_t kStatus = 481;
  constexpr std::string_view kPhrase = "Call/Transaction Does Not Exist";
  if (state != CancelMail::State::kNoRoom) return Answer(source, kStatus, kPhrase, {}, true);
  RefusalDetail detail;
  detail.phrase = kPhrase;
  detail.cause = "no room between shards";
  detail.status = kStatus;
  Refuse(source, ReasonCode::kOverload, detail);
}

// The CANCEL in view_.
void EdgeProxy::OnCancelMail(CancelMail mail) {
  const uint32_t home = mail.source.shard;
  if (home == context_.shard.index()) {
    Connection* const connection = connections_.Find(mail.source.connection);
    core::DatagramSocket* const socket =
        mail.source.connection == ConnectionId() ? endpoints_.socket(mail.listener) : nullptr;
    if (connection == nullptr && socket == nullptr) return;
    const MessageSource source{mail.source.zone, mail.source.address, mail.listener, connection,
                               socket};
    if (mail.state == CancelMail::State::kFound) return Answer(source, 200, "OK", {}, true);
    return AnswerLostCancel(source, mail.state);
  }
  Transaction* const transaction =
      transactions_.FindByKey(transactions_.KeyOf(mail.source.peer, view_));
  const uint32_t next = (context_.shard.index() + 1) % context_.shard.shards();
  if (transaction != nullptr && transaction->is_invite()) {
    mail.state = CancelMail::State::kFound;
  } else if (next == home) {
    mail.state = CancelMail::State::kNowhere;
  }
  const bool goes_on = mail.state == CancelMail::State::kWanted;
  if (goes_on && MailCancel(next, mail)) return;
  // 481 is better than silence.
  if (goes_on) mail.state = CancelMail::State::kNoRoom;
  static_cast<void>(MailCancel(home, mail));
  if (mail.state == CancelMail::State::kFound) CancelTransaction(*transaction);
}

uint64_t EdgeProxy::MailSenderOf(const ResponseSource& source) const {
  return source.peer > kAnonymousPeer ? source.peer : admission_.KeyOf(source.address);
}

// On its way home it is the answer to one that found room.
bool EdgeProxy::MailCancel(uint32_t shard, const CancelMail& mail) {
  std::array<char, kMailedCancelBytesMax> room;
  const size_t size = WriteMailedCancel(view_, room);
  if (size == 0) return false;
  const std::string_view lines(room.data(), size);
  return mail.state == CancelMail::State::kWanted
             ? mail_shares_.Post(MailSenderOf(mail.source), shard, kMailCancel, mail, lines)
             : context_.PostMessage(shard, kMailCancel, mail, lines);
}

// RFC 3326 §2: why the call is not wanted any more, which the callee's telephone may show. Without
// memory for it the CANCEL goes out without it: that it ends the call matters more.
void EdgeProxy::KeepCancelReason(Transaction& transaction) {
  const size_t bytes = CopyLines(view_, HeaderId::kReason, context_.send_scratch);
  if (bytes == 0 || !MayKeep(transaction, bytes, ShareUse::kInDialog)) return;
  transaction.cancel_reason = context_.reactor().buffers().Lease(static_cast<uint32_t>(bytes));
  if (!transaction.cancel_reason) return;
  std::memcpy(transaction.cancel_reason.data(), context_.send_scratch.data(), bytes);
  transaction.cancel_reason_bytes = static_cast<uint32_t>(bytes);
  NoteLeases(transaction);
}

void EdgeProxy::CancelTransaction(Transaction& transaction) {
  const bool may_end =
      transaction.client == ClientState::kCalling || transaction.client == ClientState::kProceeding;
  if (!may_end || transaction.cancel != CancelState::kNone) return;
  KeepCancelReason(transaction);
  if (!transaction.is_sent && transaction.client == ClientState::kCalling) {
    transaction.cancel = CancelState::kWanted;
    transaction.core::ListLink::Unlink();
    transaction.client = ClientState::kTerminated;
    return FinishWith(transaction, 487, "Request Terminated", {});  // Nothing rings.
  }
  if (transaction.client == ClientState::kProceeding) return SendCancel(transaction);
  // §9.1: not before the next hop has shown that it has the INVITE, for as long as that may take.
  transaction.cancel = CancelState::kWanted;
  if (!transaction.is_left) ScheduleDeadlineAt(transaction, transaction.sent_at + kTimerB);
}

// -- The transaction begins --------------------------------------------------------------------

void EdgeProxy::Begin(const RequestContext& request, const RouteDecision& decision, uint64_t key,
                      uint32_t loop_hash) {
  Transaction* const transaction = CreateTransaction(request, decision, key);
  const TransactionId id = transaction->id;
  transaction->loop_hash = loop_hash;
  NoteDialogFacts(request, *transaction);
  if (const auto reason = StoreRequest(request, decision, *transaction)) {
    EraseTransaction(*transaction);
    return Refuse(request.source, *reason);
  }
  FindTargets(*transaction);
  // Unless it is answered already: the 100 says that we see to it from here (§16.2).
  if (view_.method() != Method::kInvite) return;
  const Transaction* const alive = transactions_.Find(id);
  if (alive != nullptr && !alive->is_answered) Answer(request.source, 100, "Trying", {}, true);
}

Transaction* EdgeProxy::CreateTransaction(const RequestContext& request,
                                          const RouteDecision& decision, uint64_t key) {
  const MessageSource& source = request.source;
  Transaction* const transaction = transactions_.Create(key, OnRetransmitTimer, OnDeadlineTimer);
  CHECK(transaction != nullptr);  // The caller has looked.
  transaction->owner = this;
  transaction->reply = ReplyPathOf(source);
  transaction->peer = source.peer();
  const uint64_t holder = HolderOf(source);
  transaction->slot_share.Begin(slot_shares_, holder);
  transaction->slot_share.Set(1);
  transaction->byte_share.Begin(byte_shares_, holder);
  transaction->reply_is_reliable = source.connection != nullptr;
  transaction->method = view_.method();
  transaction->is_ack = view_.method() == Method::kAck;
  transaction->is_in_dialog = !view_.to().tag.empty();
  transaction->is_secure = view_.parsed_request_uri().scheme == Uri::Scheme::kSips;
  // The same on every instance, and after a restart.
  transaction->selector = TargetHashId(view_.call_id());
  transaction->snapshot = context_.snapshot->version;
  NoteTargetSource(request, decision, *transaction);
  if (transaction->is_ack) {
    transaction->server = ServerState::kTerminated;
    transaction->is_answered = true;
    return transaction;
  }
  if (transaction->is_invite()) {
    transaction->server = ServerState::kProceeding;
    transaction->client = ClientState::kCalling;
  }
  if (source.connection != nullptr) ++source.connection->transactions;
  ++unanswered_;
  context_.Count(context_.metrics.sip_transactions_active.Slot(
      transaction->is_invite() ? TransactionKind::kInvite : TransactionKind::kNonInvite));
  return transaction;
}

void EdgeProxy::NoteTargetSource(const RequestContext& request, const RouteDecision& decision,
                                 Transaction& transaction) const {
  if (request.rights.route != RouteRight::kNone) {
    transaction.far = request.rights.far;
    transaction.near.party = request.rights.near_party;
    transaction.is_secure |= transaction.far.secure;  // RFC 5630 §3.1.1.
  }
  switch (decision.kind) {
    case RouteKind::kNextHop:
      transaction.source = TargetSource::kNextHop;
      transaction.next_hop = static_cast<uint16_t>(decision.next_hop);
      transaction.next_hop_hash = context_.snapshot->next_hop_hashes[decision.next_hop];
      return;
    case RouteKind::kInsideTarget:
      transaction.source = TargetSource::kInsideTarget;
      return;
    case RouteKind::kParty:
      transaction.source = TargetSource::kParty;
      return;
    case RouteKind::kFlow:
      transaction.source = TargetSource::kFlow;
      return;
    case RouteKind::kLocate:
      transaction.source = TargetSource::kLocate;
      return;
    case RouteKind::kAnswerItself:
    case RouteKind::kRefuse:
      UNREACHABLE();
  }
}

// What each attempt writes in front of the request (WriteHeadLines).
void EdgeProxy::NoteDialogFacts(const RequestContext& request, Transaction& transaction) {
  const MessageSource& source = request.source;
  transaction.records_route = FormsDialog(view_);
  if (transaction.records_route) {
    SealAnew(transaction.far.party);
    transaction.near = NearSideOf(source, view_.from().uri);
    transaction.dialog = DialogIdOf(view_.call_id(), view_.from().tag);
    transaction.has_kept_routes = !view_.Has(HeaderId::kRecordRoute);
    if (source.zone == Zone::kInside) NoteExcuse(source, transaction);
  }
  const bool registers = view_.method() == Method::kRegister && source.zone == Zone::kOutside;
  if (!registers || source.connection == nullptr) return;
  const RegistrationFacts facts = ReadRegistration(view_);
  transaction.adds_path =
      context_.snapshot->config.path_when == PathWhen::kAlways || facts.supports_path;
  if (!transaction.adds_path) return;
  transaction.near = NearSideOf(source, view_.to().uri);
  // RFC 5626 §5.1: we are the first hop.
  transaction.is_outbound = facts.is_first_hop && facts.supports_outbound && facts.registers_flow;
}

// A pair lives as long as the key that signs it: so does the party in it, though a Path value that
// was signed with an older key has named it.
void EdgeProxy::SealAnew(SealedParty& party) const {
  const PartySealer& parties = context_.snapshot->pairs.parties();
  if (party.kind == PartyKind::kNone || parties.IsSealedNow(party)) return;
  if (const std::optional<Party> known = parties_.Identify(party)) party = parties.Seal(*known);
}

void EdgeProxy::NoteExcuse(const MessageSource& source, Transaction& transaction) const {
  const DialogTokenGrant grant =
      MayIssue(view_, transaction.dialog, source.address, *context_.snapshot);
  transaction.grants_excuse = grant.is_granted;
  if (grant.is_granted) transaction.excuse = grant.claim;
}

// The side that this request came from. The party speaks for `addr_spec`.
DialogSide EdgeProxy::NearSideOf(const MessageSource& source, const Uri& addr_spec) const {
  DialogSide near;
  near.zone = source.zone;
  if (source.zone == Zone::kInside) {
    near.target = InsideTargetOf(source);
    return near;
  }
  near.party = context_.snapshot->pairs.parties().Seal(PartyFor(StandingOf(source), addr_spec));
  if (source.connection == nullptr) return near;
  near.flow = {context_.snapshot->process, static_cast<uint8_t>(context_.shard.index()),
               static_cast<uint16_t>(source.listener), source.connection->id()};
  return near;
}

// Where requests of this dialog that come from outside are to go: to the element that put itself on
// the route set last, if it names itself by an address inside, else to where this request came
// from.
TransportAddress EdgeProxy::InsideTargetOf(const MessageSource& source) const {
  const TransportAddress named = NumericTargetOf(FirstValueOf(view_, HeaderId::kRecordRoute));
  if (named.is_known() && context_.snapshot->AdmitsInside(named.address)) return named;
  TransportAddress target;
  const Via& via = view_.top_via();
  target.transport = source.connection == nullptr  ? TransportProtocol::kUdp
                     : source.connection->is_tls() ? TransportProtocol::kTls
                                                   : TransportProtocol::kTcp;
  const uint16_t standard = target.transport == TransportProtocol::kTls ? 5061 : 5060;
  const uint16_t port = via.port != 0 ? via.port : standard;
  target.address = source.address.WithPort(
      source.connection == nullptr && via.has_rport ? source.address.port() : port);
  return target;
}

// What may become a route set where it arrives (RFC 3261 §12.1.1, RFC 6665 §4.3) has a pair of ours
// above it, or nothing that the outside has written.
void EdgeProxy::EditRouteSet(const RequestContext& request) {
  const bool is_notify = view_.method() == Method::kNotify;
  if (is_notify && request.rights.is_by_pair) {
    return RecordPairAgain(view_, request.own, edit_);
  }
  const bool is_in_dialog = is_notify || !view_.to().tag.empty();
  if (request.source.zone == Zone::kOutside && is_in_dialog) {
    RemoveAll(view_, HeaderId::kRecordRoute, edit_);
  }
}

bool EdgeProxy::WithholdVias(const ForwardedRequest& forwarded, Transaction& transaction) {
  context_.Count(context_.metrics.sip_messages_rewritten.Slot(RewriteReason::kViasWithheld));
  if (transaction.is_ack) return true;  // Nothing answers it.
  const size_t bytes =
      WriteMarkedVias(view_, forwarded.received, forwarded.rport, context_.send_scratch);
  if (bytes == 0 || !MayKeep(transaction, bytes, UseOf(view_))) return false;
  transaction.withheld_vias = context_.reactor().buffers().Lease(static_cast<uint32_t>(bytes));
  if (!transaction.withheld_vias) return false;
  std::memcpy(transaction.withheld_vias.data(), context_.send_scratch.data(), bytes);
  transaction.withheld_vias_bytes = static_cast<uint32_t>(bytes);
  NoteLeases(transaction);
  return true;
}

// The request as it goes on, without our own lines: those depend on the target.
std::optional<ReasonCode> EdgeProxy::StoreRequest(const RequestContext& request,
                                                  const RouteDecision& decision,
                                                  Transaction& transaction) {
  const MessageSource& source = request.source;
  const ViaMark mark(view_.top_via(), source.address);
  edit_.Reset(view_.bytes());
  ForwardedRequest forwarded;
  forwarded.received = edit_.Store({mark.received});
  forwarded.rport = edit_.Store({mark.rport});
  const bool to_inside =
      decision.kind == RouteKind::kInsideTarget ||
      (decision.kind == RouteKind::kNextHop &&
       context_.snapshot->config.next_hops[decision.next_hop].zone == Zone::kInside);
  forwarded.identity = CrossingOf(source.zone == Zone::kInside, to_inside);
  forwarded.removes_path = source.zone == Zone::kOutside;
  forwarded.removes_referred_by = request.drops_referred_by;
  forwarded.asserted_header = request.from_covered && to_inside
                                  ? context_.snapshot->config.identity_header
                                  : AssertedHeader::kNone;
  if (source.zone == Zone::kOutside && !HasPlainVias(view_)) {
    if (!WithholdVias(forwarded, transaction)) return ReasonCode::kOverload;
    forwarded.withholds_vias = true;
  }
  EditRequest(view_, forwarded, edit_);
  EditMaxBreadth(view_, edit_);
  EditRouteSet(request);
  // A Route from outside leads nowhere, strict or not: it must not become the Request-URI.
  const bool leaves = decision.kind == RouteKind::kLocate || decision.kind == RouteKind::kParty;
  if (request.own.next_is_strict && leaves) {
    EditForStrictNextHop(view_, request.own, edit_);
    transaction.next_is_strict = true;
  } else {
    OwnRoutes leaving = request.own;
    if (decision.drops_routes) leaving.count = leaving.total;
    EditOwnRoutes(view_, leaving, edit_);
  }
  if (!edit_.ok() || edit_.size() + kHeadBytesMax > core::BufferPool::kBlockBytesMax) {
    return ReasonCode::kTooLarge;
  }
  const auto bytes = static_cast<uint32_t>(edit_.size() + kHeadRoomBytes);
  if (!MayKeep(transaction, bytes, UseOf(view_))) return ReasonCode::kLimit;
  transaction.request = context_.reactor().buffers().Lease(bytes);
  if (!transaction.request) return ReasonCode::kOverload;
  NoteLeases(transaction);
  const std::span<std::byte> room = transaction.request.bytes();
  transaction.request_bytes =
      static_cast<uint32_t>(edit_.CopyTo({reinterpret_cast<char*>(room.data()), room.size()}));
  const std::string_view text(reinterpret_cast<const char*>(room.data()),
                              transaction.request_bytes);
  transaction.start_line_bytes = static_cast<uint32_t>(text.find("\r\n") + 2);
  transaction.head_bytes = 0;
  transaction.via_lines =
      forwarded.withholds_vias ? 1 : static_cast<uint8_t>(view_.Count(HeaderId::kVia));
  return std::nullopt;
}

}  // namespace sallyport::sip
