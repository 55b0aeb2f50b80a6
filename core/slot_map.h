// Objects in fixed places, named by slot and generation: the owner of everything that others refer
// to by id. All memory is reserved by the constructor (untouched pages cost nothing); nothing is
// allocated afterwards and nothing ever moves.
// `Id` is the caller's own struct { uint32_t slot; uint32_t generation; }, so that ids of different
// maps cannot be mixed up. A zero-initialised Id is never live.
// Shard: one thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <new>
#include <utility>

#include "core/check.h"
#include "core/mapped_memory.h"

namespace sallyport::core {

template <typename T, typename Id, uint32_t generation_mask = 0xFFFFFFFF>
class SlotMap {
 public:
  explicit SlotMap(uint32_t capacity)
      : capacity_(capacity), memory_(size_t{capacity} * sizeof(Slot)) {}
  SlotMap(const SlotMap&) = delete;
  SlotMap& operator=(const SlotMap&) = delete;
  ~SlotMap() {
    ForEach([this](Id id, T&) { Erase(id); });
  }

  uint32_t size() const { return size_; }
  uint32_t capacity() const { return capacity_; }
  bool full() const { return size_ == capacity_; }

  // The id that the next Emplace will give, for objects that must know their own. Requires !full().
  Id NextId() const {
    DCHECK(!full());
    const uint32_t slot = first_free_ != kNoSlot ? first_free_ : used_slots_;
    return {slot, (slots()[slot].generation + 1) & generation_mask};
  }

  // nullptr when full: an outcome for the caller. Otherwise the object, and its id in `*id`.
  template <typename... Arguments>
  [[nodiscard]] T* Emplace(Id* id, Arguments&&... arguments) {
    if (full()) return nullptr;
    *id = NextId();
    Slot& slot = slots()[id->slot];
    if (first_free_ != kNoSlot) {
      first_free_ = slot.next_free;
    } else {
      ++used_slots_;
    }
    slot.generation = id->generation;
    ++size_;
    return new (slot.object) T(std::forward<Arguments>(arguments)...);
  }

  // nullptr if that object is gone.
  T* Find(Id id) {
    if (id.slot >= used_slots_) return nullptr;
    Slot& slot = slots()[id.slot];
    if (slot.generation != id.generation || !IsLive(slot)) return nullptr;
    return slot.get();
  }

  const T* Find(Id id) const { return const_cast<SlotMap*>(this)->Find(id); }

  // Destroys the object. Its id, and every copy of it, finds nothing from now on.
  void Erase(Id id) {
    T* const object = Find(id);
    CHECK(object != nullptr);
    object->~T();
    Slot& slot = slots()[id.slot];
    slot.generation = (slot.generation + 1) & generation_mask;
    slot.next_free = first_free_;
    first_free_ = id.slot;
    --size_;
  }

  // `visit(Id, T&)` for every live object; it may erase the one it is given, and add others.
  template <typename Visit>
  void ForEach(Visit visit) {
    Sweep(0, used_slots_, visit);
  }

  // The same for `count` slots from `first` on: a sweep in bounded steps. Returns where the next
  // step begins, 0 when the end was reached.
  template <typename Visit>
  uint32_t Sweep(uint32_t first, uint32_t count, Visit visit) {
    const uint32_t end = count < used_slots_ - first ? first + count : used_slots_;
    for (uint32_t index = first; index < end; ++index) {
      Slot& slot = slots()[index];
      if (IsLive(slot)) visit(Id{index, slot.generation}, *slot.get());
    }
    return end == used_slots_ ? 0 : end;
  }

 private:
  static constexpr uint32_t kNoSlot = 0xFFFFFFFF;

  struct Slot {
    uint32_t generation;  // Odd while an object lives here.
    uint32_t next_free;   // Meaningful while none does.
    // NOLINTNEXTLINE(bugprone-sizeof-expression): T may be a pointer.
    alignas(T) std::byte object[sizeof(T)];

    T* get() { return std::launder(reinterpret_cast<T*>(object)); }
  };
  static bool IsLive(const Slot& slot) { return (slot.generation & 1) != 0; }
  Slot* slots() const { return reinterpret_cast<Slot*>(memory_.data()); }

  const uint32_t capacity_;
  uint32_t size_ = 0;
  uint32_t used_slots_ = 0;  // Slots from here on were never touched.
  uint32_t first_free_ = kNoSlot;
  MappedMemory memory_;
};

}  // namespace sallyport::core
