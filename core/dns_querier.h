// Asking DNS: the seam between who wants to know (RFC 3263 lives in sip/proxy) and who can find out
// (core/resolver; a table in tests and in the simulation).
// Shard: one thread.
#pragma once

#include <cstdint>

#include "core/dns_answer.h"
#include "core/dns_name.h"

namespace sallyport::core {

class DnsAnswerHandler {
 public:
  // `answer` is borrowed for the call. May ask again.
  virtual void OnDnsAnswer(uint64_t cookie, const DnsAnswer& answer) = 0;

 protected:
  ~DnsAnswerHandler() = default;
};

class DnsQuerier {
 public:
  // Exactly one OnDnsAnswer with this cookie follows, later and never from inside Query; none once
  // the querier is destroyed. The handler outlives the querier or every question. False: the bound
  // of outstanding questions is reached, nothing was asked and nothing will follow.
  [[nodiscard]] virtual bool Query(DnsType type, const DnsName& name, DnsAnswerHandler& handler,
                                   uint64_t cookie) = 0;

 protected:
  ~DnsQuerier() = default;
};

}  // namespace sallyport::core
