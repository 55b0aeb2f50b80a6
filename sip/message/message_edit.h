// Edits over the original bytes of one message: what is not named is forwarded as it came. No
// allocation. Borrows: the original and every inserted text that was not put into the arena with
// Store(). Shard:   one object per shard, Reset for each message. About 4 KB.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <span>
#include <string_view>

#include "sip/message/message_view.h"

namespace sallyport::sip {

class MessageEdit {
 public:
  static constexpr size_t kEditsMax = 160;  // Every header of a message, and what is added.
  static constexpr size_t kArenaBytes = 4096;

  MessageEdit() = default;
  MessageEdit(const MessageEdit&) = delete;
  MessageEdit& operator=(const MessageEdit&) = delete;

  // Forgets all edits and begins anew over `original`, usually view.bytes().
  void Reset(std::string_view original);

  // Positions point into the original (its end included). Order of calls is free; several
  // insertions at one position appear in the order of the calls, and before what is kept or removed
  // there.
  void InsertBefore(const char* position, std::string_view text);
  void Remove(std::string_view part);
  void Remove(const char* begin, const char* end);
  void Replace(std::string_view part, std::string_view text);

  // Copies the pieces, one after the other, into the arena; the result lives until Reset.
  [[nodiscard]] std::string_view Store(std::initializer_list<std::string_view> pieces);

  // False once an edit did not fit, lay outside the original or overlapped another: the result is
  // then unusable, and the caller answers 500. Ask once, at the end.
  [[nodiscard]] bool ok() const { return ok_; }

  // Of the edited message. Only while ok().
  [[nodiscard]] size_t size() const { return size_; }
  // Writes size() bytes; 0 if `out` is too small or !ok().
  [[nodiscard]] size_t CopyTo(std::span<char> out) const;
  // The same as a gather list of at most 2 * kEditsMax + 1 non-empty pieces; returns how many. 0 if
  // `out` is too small.
  [[nodiscard]] size_t Pieces(std::span<std::string_view> out) const;

 private:
  struct Edit {
    uint32_t begin;  // Of the removed part in the original.
    uint32_t end;    // begin == end: an insertion only.
    std::string_view text;
  };

  void Add(const char* begin, const char* end, std::string_view text);

  std::string_view original_;
  size_t size_ = 0;
  size_t edit_count_ = 0;
  size_t arena_used_ = 0;
  bool ok_ = true;
  std::array<Edit, kEditsMax> edits_;  // Sorted by begin.
  std::array<char, kArenaBytes> arena_;
};

// Removes one value of a comma-separated field: the whole line if it is the only one, else the
// value and one comma. `value` is one that ValueList gave for `field.value`.
void RemoveValue(const HeaderField& field, std::string_view value, MessageEdit& edit);

// Removes the topmost Via value: what a proxy does to a response (RFC 3261 §16.7 step 3). `view`
// parsed kOk.
void RemoveTopVia(const MessageView& view, MessageEdit& edit);

// Removes every line with this id. Returns how many.
size_t RemoveAll(const MessageView& view, HeaderId id, MessageEdit& edit);

// Applies MarkVia (via.h) to the topmost Via. `view` parsed kOk; both texts are borrowed.
void MarkTopVia(const MessageView& view, std::string_view received, std::string_view rport,
                MessageEdit& edit);

}  // namespace sallyport::sip
