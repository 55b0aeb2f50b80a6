// A circular doubly linked list whose links live inside its members: no allocation, O(1)
// everything. A member unlinks itself when it is destroyed, so a list never points at the dead.
// Shard: one thread.
#pragma once

#include "core/check.h"

namespace sallyport::core {

class ListLink {
 public:
  ListLink() = default;
  ListLink(const ListLink&) = delete;
  ListLink& operator=(const ListLink&) = delete;
  ~ListLink() { Unlink(); }

  bool linked() const { return next_ != this; }

  void Unlink() {
    previous_->next_ = next_;
    next_->previous_ = previous_;
    next_ = previous_ = this;
  }

 private:
  template <typename Member>
  friend class IntrusiveList;

  ListLink* next_ = this;
  ListLink* previous_ = this;
};

// `Member` derives from ListLink. A member is in one list at a time.
template <typename Member>
class IntrusiveList {
 public:
  IntrusiveList() = default;
  IntrusiveList(const IntrusiveList&) = delete;
  IntrusiveList& operator=(const IntrusiveList&) = delete;
  ~IntrusiveList() {
    while (PopFront() != nullptr) {
    }
  }

  bool empty() const { return !head_.linked(); }

  void PushBack(Member& member) {
    ListLink& link = member;
    DCHECK(!link.linked());
    link.next_ = &head_;
    link.previous_ = head_.previous_;
    head_.previous_->next_ = &link;
    head_.previous_ = &link;
  }

  // nullptr when empty.
  Member* front() { return empty() ? nullptr : static_cast<Member*>(head_.next_); }
  // What follows a member of this list; nullptr: it is the last.
  Member* Next(Member& member) {
    ListLink& link = member;
    return link.next_ == &head_ ? nullptr : static_cast<Member*>(link.next_);
  }

  // nullptr when empty.
  Member* PopFront() {
    if (empty()) return nullptr;
    ListLink* const first = head_.next_;
    first->Unlink();
    return static_cast<Member*>(first);
  }

  // Moves everything out of `other` to the back of this list. O(1).
  void TakeAll(IntrusiveList& other) {
    if (other.empty()) return;
    ListLink* const first = other.head_.next_;
    ListLink* const last = other.head_.previous_;
    other.head_.next_ = other.head_.previous_ = &other.head_;
    first->previous_ = head_.previous_;
    head_.previous_->next_ = first;
    last->next_ = &head_;
    head_.previous_ = last;
  }

 private:
  ListLink head_;
};

}  // namespace sallyport::core
