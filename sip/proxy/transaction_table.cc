#include "sip/proxy/transaction_table.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <span>
#include <string_view>

#include "core/check.h"
#include "sip/proxy/branch.h"

namespace sallyport::sip {
namespace {

// A MAC over texts of any length: chunks are chained through the state in front of each.
class KeyHasher {
 public:
  explicit KeyHasher(const tls::MacKey& key) : key_(key) {}

  void Add(std::string_view text) {
    AddBytes(text);
    AddBytes(std::string_view("\0", 1));  // No field holds a NUL, so fields cannot run together.
  }
  void AddNumber(uint64_t number) {
    AddBytes({reinterpret_cast<const char*>(&number), sizeof number});
  }
  uint64_t Finish() {
    Chain();
    return std::max<uint64_t>(state_, 1);
  }

 private:
  void AddBytes(std::string_view text) {
    while (!text.empty()) {
      if (used_ == buffer_.size()) Chain();
      const size_t part = std::min(text.size(), buffer_.size() - used_);
      std::memcpy(buffer_.data() + used_, text.data(), part);
      used_ += part;
      text.remove_prefix(part);
    }
  }
  void Chain() {
    std::memcpy(buffer_.data(), &state_, sizeof state_);
    state_ = tls::KeyedMac64(key_, std::span(buffer_.data(), used_));
    used_ = sizeof state_;
  }

  const tls::MacKey& key_;
  uint64_t state_ = 0;
  size_t used_ = sizeof state_;
  std::array<std::byte, 256> buffer_;
};

bool HasUniqueBranch(std::string_view branch) {
  return branch.size() > kBranchCookie.size() && branch.starts_with(kBranchCookie);
}

// §17.2.3: the method is compared, but ACK and CANCEL belong to the INVITE they name.
std::string_view TransactionMethod(const MessageView& request) {
  const Method method = request.method();
  return method == Method::kAck || method == Method::kCancel ? MethodText(Method::kInvite)
                                                             : request.method_text();
}

}  // namespace

TransactionTable::TransactionTable(uint32_t capacity, const tls::MacKey& key)
    : key_(key),
      slots_(capacity),
      bucket_mask_(std::bit_ceil(size_t{capacity} + 1) - 1),
      buckets_(std::make_unique<uint32_t[]>(bucket_mask_ + 1)),
      generations_(std::make_unique<uint32_t[]>(capacity)) {}

uint64_t TransactionTable::KeyOf(PeerKey peer, const MessageView& request) const {
  KeyHasher hasher(key_);
  hasher.AddNumber(peer);
  hasher.Add(TransactionMethod(request));
  const Via& via = request.top_via();
  if (HasUniqueBranch(via.branch)) {
    hasher.Add(via.branch);
    hasher.Add(via.host);
    hasher.AddNumber(via.port);
  } else {
    hasher.Add(request.request_uri());
    hasher.Add(request.from().tag);
    // An ACK carries the To-tag of our response, which the INVITE did not have.
    hasher.Add(request.call_id());
    hasher.AddNumber(request.cseq().number);
    hasher.Add(via.whole);
  }
  return hasher.Finish();
}

Transaction* TransactionTable::Create(uint64_t key, core::Timer::Callback on_retransmit,
                                      core::Timer::Callback on_deadline) {
  DCHECK(key == 0 || FindByKey(key) == nullptr);
  TransactionId id;
  Transaction* const transaction = slots_.Emplace(&id, on_retransmit, on_deadline);
  if (transaction == nullptr) return nullptr;
  transaction->id = id;
  transaction->key = key;
  generations_[id.slot] = id.generation;
  if (key != 0) {
    transaction->next_in_bucket = Bucket(key);
    Bucket(key) = id.slot + 1;
  }
  return transaction;
}

Transaction* TransactionTable::FindByKey(uint64_t key) {
  uint32_t next = Bucket(key);
  while (next != 0) {
    Transaction* const transaction = slots_.Find({next - 1, generations_[next - 1]});
    CHECK(transaction != nullptr);  // Erase takes it out of its chain.
    if (transaction->key == key) return transaction;
    next = transaction->next_in_bucket;
  }
  return nullptr;
}

void TransactionTable::Erase(Transaction& transaction) {
  if (transaction.key != 0) {
    uint32_t* link = &Bucket(transaction.key);
    while (*link != transaction.id.slot + 1) {
      link = &slots_.Find({*link - 1, generations_[*link - 1]})->next_in_bucket;
    }
    *link = transaction.next_in_bucket;
  }
  slots_.Erase(transaction.id);
}

}  // namespace sallyport::sip
