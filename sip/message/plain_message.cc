#include "sip/message/plain_message.h"

#include <algorithm>
#include <array>
#include <cstring>

#include "sip/message/grammar.h"
#include "sip/message/name_addr.h"
#include "sip/message/params.h"

namespace sallyport::sip {
namespace {

class Writer {
 public:
  explicit Writer(std::span<char> out) : out_(out) {}

  void Add(std::string_view text) {
    fits_ = fits_ && text.size() <= out_.size() - used_;
    if (!fits_ || text.empty()) return;
    std::memcpy(out_.data() + used_, text.data(), text.size());
    used_ += text.size();
  }
  // Each run of LWS that holds a fold, or any run if `all_runs`, as one SP.
  void AddUnfolded(std::string_view value, bool all_runs) {
    while (!value.empty()) {
      const size_t run = value.find_first_of(" \t\r");
      Add(value.substr(0, run));
      if (run == std::string_view::npos) return;
      value.remove_prefix(run);
      const std::string_view lws = value.substr(0, value.find_first_not_of(" \t\r\n"));
      Add(all_runs || lws.find('\n') != std::string_view::npos ? " " : lws);
      value.remove_prefix(lws.size());
    }
  }
  [[nodiscard]] size_t size() const { return fits_ ? used_ : 0; }

 private:
  const std::span<char> out_;
  size_t used_ = 0;
  bool fits_ = true;
};

// Kamailio 5.6 frames a stream by Content_Length as by Content-Length.
bool PassesForAnother(std::string_view name) {
  std::array<char, 32> dashed;
  if (name.size() > dashed.size() || name.find('_') == std::string_view::npos) return false;
  std::replace_copy(name.begin(), name.end(), dashed.begin(), '_', '-');
  return LookUpHeader({dashed.data(), name.size()}) != HeaderId::kOther;
}

// The version in capitals, as everybody writes it.
void AddStartLine(std::string_view line, bool is_request, Writer& writer) {
  constexpr std::string_view kVersion = "SIP/2.0";
  if (is_request) {
    writer.Add(line.substr(0, line.size() - kVersion.size() - 2));
    writer.Add(kVersion);
    return writer.Add("\r\n");
  }
  writer.Add(kVersion);
  writer.Add(line.substr(kVersion.size()));
}

// Empty parameters go: some servers end the connection for them.
void AddTo(const HeaderField& field, const NameAddr& to, Writer& writer) {
  writer.Add("To: ");
  writer.AddUnfolded(
      field.value.substr(0, static_cast<size_t>(to.params.data() - field.value.data())), false);
  PassedParams params(to.params);
  std::string_view param;
  while (params.Next(param)) {
    if (param != ";") writer.AddUnfolded(param, false);
  }
  writer.Add("\r\n");
}

void AddField(const HeaderField& field, Writer& writer) {
  const bool decides = DecidesEverywhere(field.id);
  const std::string_view line = field.line().substr(0, field.line_bytes - 2);
  if (!decides && line.find('\r') == std::string_view::npos) return writer.Add(field.line());
  writer.Add(field.name);
  writer.Add(": ");
  writer.AddUnfolded(field.value, field.id == HeaderId::kCSeq);
  writer.Add("\r\n");
}

}  // namespace

bool IsUsualFieldName(std::string_view name) {
  return name.find_first_of("!%*+`'~") == std::string_view::npos && !PassesForAnother(name);
}

bool HasEmptyParam(std::string_view params) {
  PassedParams walk(params);
  std::string_view param;
  while (walk.Next(param)) {
    if (param == ";") return true;
  }
  return false;
}

PlainMessage WritePlain(const MessageView& message, bool removes_unusual_fields,
                        std::span<char> out) {
  PlainMessage plain;
  Writer writer(out);
  const std::string_view bytes = message.bytes();
  AddStartLine(bytes.substr(0, static_cast<size_t>(message.headers_begin() - bytes.data())),
               message.is_request(), writer);
  const HeaderField* const length = message.First(HeaderId::kContentLength);
  for (const HeaderField& field : message.headers()) {
    if (field.id == HeaderId::kContentLength && &field != length) continue;
    if (removes_unusual_fields && !IsUsualFieldName(field.name)) {
      ++plain.removed;
      continue;
    }
    if (field.id == HeaderId::kTo && HasEmptyParam(message.to().params)) {
      AddTo(field, message.to(), writer);
    } else {
      AddField(field, writer);
    }
  }
  writer.Add(bytes.substr(static_cast<size_t>(message.headers_end() - bytes.data())));
  plain.bytes = writer.size();
  return plain;
}

}  // namespace sallyport::sip
