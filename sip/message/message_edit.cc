#include "sip/message/message_edit.h"

#include <algorithm>
#include <cstring>

#include "core/check.h"
#include "sip/message/grammar.h"
#include "sip/message/value_list.h"

namespace sallyport::sip {

void MessageEdit::Reset(std::string_view original) {
  original_ = original;
  size_ = original.size();
  edit_count_ = 0;
  arena_used_ = 0;
  ok_ = true;
}

void MessageEdit::InsertBefore(const char* position, std::string_view text) {
  Add(position, position, text);
}

void MessageEdit::Remove(const char* begin, const char* end) { Add(begin, end, {}); }

void MessageEdit::Remove(std::string_view part) { Add(part.data(), part.data() + part.size(), {}); }

void MessageEdit::Replace(std::string_view part, std::string_view text) {
  Add(part.data(), part.data() + part.size(), text);
}

void MessageEdit::Add(const char* begin, const char* end, std::string_view text) {
  const char* const original_end = original_.data() + original_.size();
  const bool inside = begin >= original_.data() && begin <= end && end <= original_end;
  if (!inside || edit_count_ == kEditsMax) {
    ok_ = false;
    return;
  }
  const Edit edit = {static_cast<uint32_t>(begin - original_.data()),
                     static_cast<uint32_t>(end - original_.data()), text};
  // Nearly always the last: the callers go through the message from its beginning to its end.
  size_t index = edit_count_;
  const auto comes_after = [&edit](const Edit& other) {
    return other.begin > edit.begin || (other.begin == edit.begin && other.end > other.begin);
  };
  while (index > 0 && comes_after(edits_[index - 1])) --index;
  const bool overlaps = (index > 0 && edits_[index - 1].end > edit.begin) ||
                        (index < edit_count_ && edits_[index].begin < edit.end);
  if (overlaps) {
    ok_ = false;
    return;
  }
  std::move_backward(edits_.begin() + static_cast<ptrdiff_t>(index),
                     edits_.begin() + static_cast<ptrdiff_t>(edit_count_),
                     edits_.begin() + static_cast<ptrdiff_t>(edit_count_ + 1));
  edits_[index] = edit;
  ++edit_count_;
  size_ = size_ + text.size() - (edit.end - edit.begin);
}

std::string_view MessageEdit::Store(std::initializer_list<std::string_view> pieces) {
  char* const begin = arena_.data() + arena_used_;
  size_t size = 0;
  for (const std::string_view piece : pieces) {
    if (piece.size() > kArenaBytes - arena_used_ - size) {
      ok_ = false;
      return {};
    }
    if (!piece.empty()) std::memcpy(begin + size, piece.data(), piece.size());
    size += piece.size();
  }
  arena_used_ += size;
  return {begin, size};
}

size_t MessageEdit::Pieces(std::span<std::string_view> out) const {
  if (!ok_) return 0;
  size_t count = 0;
  size_t kept = 0;
  bool fits = true;
  const auto append = [&](std::string_view piece) {
    if (piece.empty()) return;
    if (count == out.size()) {
      fits = false;
      return;
    }
    out[count++] = piece;
  };
  for (size_t i = 0; i < edit_count_; ++i) {
    append(original_.substr(kept, edits_[i].begin - kept));
    append(edits_[i].text);
    kept = edits_[i].end;
  }
  append(original_.substr(kept));
  return fits ? count : 0;
}

size_t MessageEdit::CopyTo(std::span<char> out) const {
  if (!ok_ || out.size() < size_) return 0;
  std::array<std::string_view, 2 * kEditsMax + 1> pieces;
  const size_t count = Pieces(pieces);
  char* at = out.data();
  for (size_t i = 0; i < count; ++i) {
    std::memcpy(at, pieces[i].data(), pieces[i].size());
    at += pieces[i].size();
  }
  DCHECK(static_cast<size_t>(at - out.data()) == size_);
  return size_;
}

void RemoveValue(const HeaderField& field, std::string_view value, MessageEdit& edit) {
  ValueList values(field.value);
  std::string_view current;
  const char* previous_end = nullptr;  // nullptr: `value` is the first.
  while (values.Next(current) && current.data() != value.data())
    previous_end = current.data() + current.size();
  if (values.Next(current)) {
    edit.Remove(value.data(), current.data());
  } else if (previous_end != nullptr) {
    edit.Remove(previous_end, value.data() + value.size());
  } else {
    edit.Remove(field.line());
  }
}

void RemoveTopVia(const MessageView& view, MessageEdit& edit) {
  const std::string_view rest = view.top_via_rest();
  if (rest.empty()) return edit.Remove(view.First(HeaderId::kVia)->line());
  edit.Remove(view.top_via().whole.data(), SkipLws(rest.data(), rest.data() + rest.size()));
}

size_t RemoveAll(const MessageView& view, HeaderId id, MessageEdit& edit) {
  size_t removed = 0;
  for (const HeaderField* field = view.First(id); field != nullptr; field = view.NextSame(field)) {
    edit.Remove(field->line());
    ++removed;
  }
  return removed;
}

void MarkTopVia(const MessageView& view, std::string_view received, std::string_view rport,
                MessageEdit& edit) {
  std::array<ViaPatch, kViaPatchesMax> patches;
  const size_t count = MarkVia(view.top_via(), received, rport, patches);
  for (size_t i = 0; i < count; ++i) {
    const auto bytes = static_cast<size_t>(patches[i].end - patches[i].begin);
    edit.Replace({patches[i].begin, bytes}, patches[i].text);
  }
}

}  // namespace sallyport::sip
