// One parsed message: start line, header index, the fields that routing and judging need, body.
// ParseMessage fills it. Borrows: every view points into the bytes that were parsed and dies with
// them. Shard:   one object per shard is enough, reused for each message; no allocation, nothing to
// destroy. About 6 KB.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "sip/message/cseq.h"
#include "sip/message/header_name.h"
#include "sip/message/method.h"
#include "sip/message/name_addr.h"
#include "sip/message/uri.h"
#include "sip/message/via.h"

namespace sallyport::sip {

// Of a message that a peer sent (limits.headers), and what we may add to it.
inline constexpr size_t kReceivedHeadersMax = 128;
inline constexpr size_t kHeadersMax = kReceivedHeadersMax + 16;

struct HeaderField {
  std::string_view
      name;  // As written, without whitespace before the colon. Begins where the line begins.
  std::string_view value;  // Without LWS at both ends; folds inside are kept.
  uint32_t line_bytes;     // From name.data(), continuation lines and the last CRLF included.
  HeaderId id;

  // What to remove when the header is to go.
  [[nodiscard]] std::string_view line() const { return {name.data(), line_bytes}; }
};

class MessageView {
 public:
  MessageView() = default;
  MessageView(const MessageView&) = delete;
  MessageView& operator=(const MessageView&) = delete;

  // The start line. After kBadStartLine both texts are empty and is_request() tells what it looked
  // like.
  [[nodiscard]] bool is_request() const { return is_request_; }
  [[nodiscard]] Method method() const { return method_; }                      // Request.
  [[nodiscard]] std::string_view method_text() const { return method_text_; }  // Request.
  [[nodiscard]] std::string_view request_uri() const {
    return request_uri_;
  }  // Request; as written.
  [[nodiscard]] const Uri& parsed_request_uri() const { return parsed_request_uri_; }
  [[nodiscard]] uint16_t status_code() const { return status_code_; }  // Response; else 0.
  [[nodiscard]] std::string_view reason() const { return reason_; }    // Response.

  [[nodiscard]] std::string_view bytes() const { return bytes_; }  // Header block plus body.
  [[nodiscard]] std::string_view header_block() const {
    return header_block_;
  }  // With the empty line.
  [[nodiscard]] std::string_view body() const { return body_; }
  // Where "at the end of the headers" is: the empty line.
  [[nodiscard]] const char* headers_end() const { return headers_end_; }
  // Where the first header line begins.
  [[nodiscard]] const char* headers_begin() const { return headers_begin_; }

  // In the order of the message.
  [[nodiscard]] std::span<const HeaderField> headers() const {
    return {headers_.data(), header_count_};
  }
  [[nodiscard]] const HeaderField* First(
      HeaderId id) const {  // O(1); nullptr: none. kOther and kSallyport too.
    const uint8_t first = first_[static_cast<size_t>(id)];
    return first == 0 ? nullptr : &headers_[first - 1U];
  }
  // The next field with the same id after `field`; nullptr: none.
  [[nodiscard]] const HeaderField* NextSame(const HeaderField* field) const {
    if (Count(field->id) == 1) return nullptr;
    const HeaderField* const end = headers_.data() + header_count_;
    for (const HeaderField* next = field + 1; next < end; ++next) {
      if (next->id == field->id) return next;
    }
    return nullptr;
  }
  [[nodiscard]] bool Has(HeaderId id) const { return first_[static_cast<size_t>(id)] != 0; }
  [[nodiscard]] size_t Count(HeaderId id) const {
    return count_[static_cast<size_t>(id)];
  }  // Lines, not values.

  // What the parser has validated. Only after ParseOutcome::kOk; else use First() and copy texts at
  // most.
  [[nodiscard]] const NameAddr& from() const { return from_; }
  [[nodiscard]] const NameAddr& to() const { return to_; }
  [[nodiscard]] const CSeq& cseq() const { return cseq_; }
  [[nodiscard]] std::string_view call_id() const { return call_id_; }
  [[nodiscard]] const Via& top_via() const {
    return top_via_;
  }  // First value of the first Via line.
  // Following values in the line of the topmost Via, after the comma; empty: it stands alone and
  // the line is its own.
  [[nodiscard]] std::string_view top_via_rest() const { return top_via_rest_; }
  [[nodiscard]] std::optional<uint8_t> max_forwards() const { return max_forwards_; }
  [[nodiscard]] std::optional<uint32_t> content_length() const { return content_length_; }

  // A line is not as we write it to others (plain_message.h): folded, or one of the fields that
  // decide everywhere and oddly spaced, or Content-Length again.
  [[nodiscard]] bool has_odd_lines() const { return has_odd_lines_; }
  // The name of a field has a character that no usual name has.
  [[nodiscard]] bool has_unusual_names() const { return has_unusual_names_; }

 private:
  friend class MessageReader;  // message_parser.cc

  std::string_view bytes_;
  std::string_view header_block_;
  std::string_view body_;
  const char* headers_begin_ = nullptr;
  const char* headers_end_ = nullptr;
  std::string_view method_text_;
  std::string_view request_uri_;
  std::string_view reason_;
  std::string_view call_id_;
  std::string_view top_via_rest_;
  Uri parsed_request_uri_;
  NameAddr from_;
  NameAddr to_;
  Via top_via_;
  CSeq cseq_;
  std::optional<uint32_t> content_length_;
  std::optional<uint8_t> max_forwards_;
  uint16_t status_code_ = 0;
  bool is_request_ = false;
  bool has_odd_lines_ = false;
  bool has_unusual_names_ = false;
  Method method_ = Method::kOther;
  uint32_t header_count_ = 0;
  std::array<uint8_t, kHeaderIdCount>
      first_{};  // Index + 1 of the first field with this id; 0: none.
  std::array<uint8_t, kHeaderIdCount> count_{};
  std::array<HeaderField, kHeadersMax> headers_;  // Left as it is beyond header_count_.
};

}  // namespace sallyport::sip
