#include "sip/message/message_writer.h"

#include <array>
#include <cstring>

#include "core/check.h"

namespace sallyport::sip {
namespace {

// Appends until the buffer is full; then remembers that.
class Output {
 public:
  explicit Output(std::span<char> out) : out_(out) {}

  void Append(std::string_view text) {
    if (text.size() > out_.size() - size_) fits_ = false;
    if (!fits_ || text.empty()) return;
    std::memcpy(out_.data() + size_, text.data(), text.size());
    size_ += text.size();
  }
  [[nodiscard]] size_t size() const { return fits_ ? size_ : 0; }

 private:
  const std::span<char> out_;
  size_t size_ = 0;
  bool fits_ = true;
};

std::string_view Between(const char* begin, const char* end) {
  return {begin, static_cast<size_t>(end - begin)};
}

void AppendStatusLine(const ResponseParts& parts, Output& out) {
  DCHECK(parts.status >= 100 && parts.status <= 699);
  const std::array<char, 3> code = {static_cast<char>('0' + parts.status / 100),
                                    static_cast<char>('0' + parts.status / 10 % 10),
                                    static_cast<char>('0' + parts.status % 10)};
  out.Append("SIP/2.0 ");
  out.Append({code.data(), code.size()});
  out.Append(" ");
  out.Append(parts.reason);
  out.Append("\r\n");
}

void AppendVias(const ResponseParts& parts, const MessageView& request, Output& out) {
  if (!parts.vias.empty()) return out.Append(parts.vias);
  const HeaderField* field = request.First(HeaderId::kVia);
  if (field != nullptr && parts.request_parsed) {
    const std::string_view line = field->line();
    std::array<ViaPatch, kViaPatchesMax> patches;
    const size_t count = MarkVia(request.top_via(), parts.via_received, parts.via_rport, patches);
    const char* kept = line.data();
    for (size_t i = 0; i < count; ++i) {
      out.Append(Between(kept, patches[i].begin));
      out.Append(patches[i].text);
      kept = patches[i].end;
    }
    out.Append(Between(kept, line.data() + line.size()));
    field = request.NextSame(field);
  }
  for (; field != nullptr; field = request.NextSame(field)) out.Append(field->line());
}

void AppendTo(const ResponseParts& parts, const MessageView& request, Output& out) {
  const HeaderField* const field = request.First(HeaderId::kTo);
  if (field == nullptr) return;
  // Read again where the request did not parse: a To that cannot be read gets no tag, it goes back
  // as it came.
  NameAddr to;
  const bool readable =
      ParseNameAddr(field->value, to) == NameAddrOutcome::kOk || ReadTagAlone(field->value, to);
  const std::string_view line = field->line();
  if (!readable || !to.tag.empty() || parts.to_tag.empty()) return out.Append(line);
  const char* const value_end = field->value.data() + field->value.size();
  out.Append(Between(line.data(), value_end));
  out.Append(";tag=");
  out.Append(parts.to_tag);
  out.Append(Between(value_end, line.data() + line.size()));
}

void AppendFirst(HeaderId id, const MessageView& request, Output& out) {
  const HeaderField* const field = request.First(id);
  if (field != nullptr) out.Append(field->line());
}

}  // namespace

size_t WriteResponse(const ResponseParts& parts, const MessageView& request, std::span<char> out) {
  Output output(out);
  AppendStatusLine(parts, output);
  AppendVias(parts, request, output);
  AppendFirst(HeaderId::kFrom, request, output);
  AppendTo(parts, request, output);
  AppendFirst(HeaderId::kCallId, request, output);
  AppendFirst(HeaderId::kCSeq, request, output);
  output.Append(parts.extra_headers);
  output.Append("Content-Length: 0\r\n\r\n");
  return output.size();
}

size_t WriteMarkedVias(const MessageView& request, std::string_view received,
                       std::string_view rport, std::span<char> out) {
  Output output(out);
  ResponseParts parts;
  parts.via_received = received;
  parts.via_rport = rport;
  AppendVias(parts, request, output);
  return output.size();
}

}  // namespace sallyport::sip
