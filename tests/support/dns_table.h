// DNS as a table of the test's own: what each name and type answers, when the test says so or after
// a latency on the reactor's clock. A name without an entry is NXDOMAIN.
//
//   DnsTable dns(reactor);
//   dns.A("example.com", "192.0.2.1");
//   dns.AnswerAll();                            // Or dns.set_latency(absl::Milliseconds(5)).
#pragma once

#include <algorithm>
#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/time/time.h"
#include "core/check.h"
#include "core/dns_answer.h"
#include "core/dns_name.h"
#include "core/dns_querier.h"
#include "core/reactor.h"
#include "core/timer_wheel.h"

namespace sallyport::test {

class DnsTable final : public core::DnsQuerier {
 public:
  explicit DnsTable(core::Reactor& reactor)
      : reactor_(reactor), timer_(core::Timer::Calling<&DnsTable::OnTimer>(this)) {}

  // -- The table. Records of one name and type add up.
  void A(std::string_view name, std::string_view address, uint32_t ttl = 60) {
    AddAddress(core::DnsType::kA, name, address, ttl);
  }
  void Aaaa(std::string_view name, std::string_view address, uint32_t ttl = 60) {
    AddAddress(core::DnsType::kAaaa, name, address, ttl);
  }
  void Srv(std::string_view name, uint16_t priority, uint16_t weight, uint16_t port,
           std::string_view target, uint32_t ttl = 60) {
    core::DnsAnswer& answer = Positive(core::DnsType::kSrv, name, ttl);
    core::DnsSrv srv{priority, weight, port, {}};
    srv.target = *answer.AddText(target == "." ? "" : target);
    CHECK(answer.Add(srv));
  }
  void Naptr(std::string_view name, uint16_t order, uint16_t preference, std::string_view service,
             std::string_view replacement, char flag = 's', bool has_regexp = false) {
    core::DnsAnswer& answer = Positive(core::DnsType::kNaptr, name, 60);
    core::DnsNaptr naptr{order, preference, flag, has_regexp, {}, {}};
    naptr.services = *answer.AddText(service);
    naptr.replacement = *answer.AddText(replacement);
    CHECK(answer.Add(naptr));
  }
  void Status(core::DnsType type, std::string_view name, core::DnsStatus status, uint32_t ttl = 0) {
    core::DnsAnswer answer(status);
    answer.set_ttl_seconds(ttl);
    answers_[{type, std::string(name)}] = answer;
  }
  void Forget(core::DnsType type, std::string_view name) {
    answers_.erase({type, std::string(name)});
  }

  // -- How it behaves.
  void set_latency(absl::Duration latency) { latency_ = latency; }
  // Questions of this type are dropped on the way: the resolver gives up after six seconds.
  void Drop(core::DnsType type) { dropped_ = type; }
  void DropNothing() { dropped_.reset(); }
  void set_questions_max(size_t questions) { questions_max_ = questions; }

  // -- What was asked: "SRV _sips._tcp.example.com", in order.
  const std::vector<std::string>& asked() const { return asked_; }
  std::vector<std::string> TakeAsked() { return std::exchange(asked_, {}); }
  size_t outstanding() const { return outstanding_.size(); }

  // Answers what is outstanding now; what is asked meanwhile waits.
  void AnswerOnce() {
    std::deque<Outstanding> now;
    now.swap(outstanding_);
    for (const Outstanding& each : now) Tell(each);
  }
  // Until nobody asks any more.
  void AnswerAll() {
    while (!outstanding_.empty()) AnswerOnce();
  }
  // Only this one, which is outstanding.
  void AnswerOne(core::DnsType type, std::string_view name) {
    for (auto each = outstanding_.begin(); each != outstanding_.end(); ++each) {
      if (each->type != type || each->name != name) continue;
      const Outstanding found = *each;
      outstanding_.erase(each);
      return Tell(found);
    }
    CHECK(false);
  }

  bool Query(core::DnsType type, const core::DnsName& name, core::DnsAnswerHandler& handler,
             uint64_t cookie) override {
    if (outstanding_.size() >= questions_max_) return false;
    asked_.push_back(std::string(core::DnsTypeName(type)) + ' ' + std::string(name.text()));
    core::MonotonicTime due = core::kInfiniteFuture;
    const bool is_dropped = dropped_ == type;
    if (is_dropped) due = reactor_.now() + kPatience;
    if (latency_.has_value() && !is_dropped) due = reactor_.now() + *latency_;
    const auto later = std::find_if(outstanding_.begin(), outstanding_.end(),
                                    [due](const Outstanding& each) { return each.due > due; });
    outstanding_.insert(later, {type, std::string(name.text()), &handler, cookie, due, is_dropped});
    if (due != core::kInfiniteFuture) {
      reactor_.timers().Schedule(timer_, outstanding_.front().due);
    }
    return true;
  }

 private:
  using Key = std::pair<core::DnsType, std::string>;
  struct Outstanding {
    core::DnsType type;
    std::string name;
    core::DnsAnswerHandler* handler;
    uint64_t cookie;
    core::MonotonicTime due;
    bool is_dropped;
  };
  static constexpr absl::Duration kPatience = absl::Seconds(6);

  core::DnsAnswer& Positive(core::DnsType type, std::string_view name, uint32_t ttl) {
    core::DnsAnswer& answer = answers_[{type, std::string(name)}];
    answer.set_status(core::DnsStatus::kOk);
    answer.set_ttl_seconds(ttl);
    return answer;
  }
  void AddAddress(core::DnsType type, std::string_view name, std::string_view text, uint32_t ttl) {
    const auto address = core::SocketAddress::FromHost(text, 0);
    CHECK(address.has_value() && Positive(type, name, ttl).Add(*address));
  }
  void Tell(const Outstanding& question) {
    const auto found = answers_.find({question.type, question.name});
    core::DnsAnswer answer(core::DnsStatus::kNoName);
    if (found != answers_.end()) answer = found->second;
    if (question.is_dropped) answer = core::DnsAnswer(core::DnsStatus::kTimeout);
    question.handler->OnDnsAnswer(question.cookie, answer);
  }
  void OnTimer() {
    while (!outstanding_.empty() && outstanding_.front().due <= reactor_.now()) {
      const Outstanding first = outstanding_.front();
      outstanding_.pop_front();
      Tell(first);
    }
    if (!outstanding_.empty()) reactor_.timers().Schedule(timer_, outstanding_.front().due);
  }

  core::Reactor& reactor_;
  core::Timer timer_;
  std::map<Key, core::DnsAnswer> answers_;
  std::deque<Outstanding> outstanding_;
  std::vector<std::string> asked_;
  std::optional<absl::Duration> latency_;
  std::optional<core::DnsType> dropped_;
  size_t questions_max_ = 1000;
};

}  // namespace sallyport::test
