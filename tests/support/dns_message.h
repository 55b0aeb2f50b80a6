// DNS responses for tests, written byte by byte and by nothing that we test.
//
//   DnsMessage message("example.com", DnsType::kSrv);
//   message.Srv("example.com", 300, 10, 60, 5061, "a.example.com");
//   message.bytes();                                  // Header, question, one answer.
#pragma once

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <span>
#include <string>
#include <string_view>

#include "core/dns_answer.h"

namespace sallyport::test {

class DnsMessage {
 public:
  static constexpr size_t kQuestionBegin = 12;  // Where its name can be pointed at.

  DnsMessage(std::string_view name, core::DnsType type, uint8_t code = 0, uint16_t id = 0)
      : DnsMessage(name, core::DnsTypeNumber(type), code, id) {}
  DnsMessage(std::string_view name, uint16_t type, uint8_t code, uint16_t id) {
    bytes_ = Number16(id) + Number16(static_cast<uint16_t>(0x8180 | code)) + Number16(1) +
             std::string(6, '\0') + Name(name) + Number16(type) + Number16(1);
  }

  // Lets the message say that it was cut (TC).
  void Truncate() { bytes_[2] = static_cast<char>(bytes_[2] | 0x02); }
  // Beyond what a byte stands for: an odd flag, a wrong count.
  char& at(size_t index) { return bytes_.at(index); }

  static std::string Number16(uint16_t number) {
    return {static_cast<char>(number >> 8), static_cast<char>(number)};
  }
  static std::string Number32(uint32_t number) {
    return Number16(static_cast<uint16_t>(number >> 16)) + Number16(static_cast<uint16_t>(number));
  }
  // On the wire, uncompressed.
  static std::string Name(std::string_view text) {
    std::string wire;
    while (!text.empty() && text != ".") {
      const std::string_view label = text.substr(0, text.find('.'));
      wire += static_cast<char>(label.size());
      wire += label;
      text.remove_prefix(label.size() < text.size() ? label.size() + 1 : label.size());
    }
    return wire + '\0';
  }
  static std::string Pointer(size_t offset) {
    return Number16(static_cast<uint16_t>(0xC000 | offset));
  }
  static std::string String(std::string_view text) {
    return std::string(1, static_cast<char>(text.size())) + std::string(text);
  }

  // Any record, its owner as wire bytes. Answers first, then authorities.
  void Record(const std::string& owner, uint16_t type, uint32_t ttl, const std::string& data,
              uint16_t record_class = 1) {
    AddCount(6);
    Append(owner, type, ttl, data, record_class);
  }
  void Authority(const std::string& owner, uint16_t type, uint32_t ttl, const std::string& data) {
    AddCount(8);
    Append(owner, type, ttl, data, 1);
  }
  void Additional(const std::string& owner, uint16_t type, uint32_t ttl, const std::string& data) {
    AddCount(10);
    Append(owner, type, ttl, data, 1);
  }

  void A(std::string_view owner, uint32_t ttl, std::initializer_list<uint8_t> address) {
    Record(Name(owner), 1, ttl, std::string(address.begin(), address.end()));
  }
  void Aaaa(std::string_view owner, uint32_t ttl, std::string_view address) {
    const auto parsed = core::SocketAddress::FromHost(address, 0);
    Record(Name(owner), 28, ttl,
           std::string(reinterpret_cast<const char*>(parsed->address_bytes().data()), 16));
  }
  void Cname(std::string_view owner, uint32_t ttl, std::string_view target) {
    Record(Name(owner), 5, ttl, Name(target));
  }
  void Srv(std::string_view owner, uint32_t ttl, uint16_t priority, uint16_t weight, uint16_t port,
           std::string_view target) {
    Record(Name(owner), 33, ttl,
           Number16(priority) + Number16(weight) + Number16(port) + Name(target));
  }
  void Naptr(std::string_view owner, uint32_t ttl, uint16_t order, uint16_t preference,
             std::string_view flags, std::string_view services, std::string_view regexp,
             std::string_view replacement) {
    Record(Name(owner), 35, ttl,
           Number16(order) + Number16(preference) + String(flags) + String(services) +
               String(regexp) + Name(replacement));
  }
  void Soa(std::string_view zone, uint32_t ttl, uint32_t minimum) {
    Authority(Name(zone), 6, ttl,
              Name("ns." + std::string(zone)) + Name("admin." + std::string(zone)) + Number32(1) +
                  Number32(2) + Number32(3) + Number32(4) + Number32(minimum));
  }

  std::string_view text() const { return bytes_; }
  std::span<const std::byte> bytes() const {
    return std::as_bytes(std::span(bytes_.data(), bytes_.size()));
  }

 private:
  void AddCount(size_t at) {
    const auto count = static_cast<uint16_t>(
        (static_cast<uint8_t>(bytes_[at]) << 8 | static_cast<uint8_t>(bytes_[at + 1])) + 1);
    bytes_.replace(at, 2, Number16(count));
  }
  void Append(const std::string& owner, uint16_t type, uint32_t ttl, const std::string& data,
              uint16_t record_class) {
    bytes_ += owner + Number16(type) + Number16(record_class) + Number32(ttl) +
              Number16(static_cast<uint16_t>(data.size())) + data;
  }

  std::string bytes_;
};

}  // namespace sallyport::test
