#include "core/intrusive_list.h"

#include <memory>
#include <vector>

#include "gtest/gtest.h"

namespace sallyport::core {
namespace {

struct Item : ListLink {
  explicit Item(int number_in) : number(number_in) {}
  int number;
};

std::vector<int> Numbers(IntrusiveList<Item>& list) {
  std::vector<int> numbers;
  while (Item* const item = list.PopFront()) numbers.push_back(item->number);
  return numbers;
}

TEST(IntrusiveListTest, KeepsOrder) {
  Item one(1), two(2), three(3);
  IntrusiveList<Item> list;
  list.PushBack(one);
  list.PushBack(two);
  list.PushBack(three);
  two.Unlink();
  EXPECT_FALSE(two.linked());
  EXPECT_EQ(Numbers(list), (std::vector<int>{1, 3}));
  EXPECT_TRUE(list.empty());
}

TEST(IntrusiveListTest, ADestroyedMemberLeavesByItself) {
  IntrusiveList<Item> list;
  Item one(1);
  auto two = std::make_unique<Item>(2);
  list.PushBack(one);
  list.PushBack(*two);
  two.reset();
  EXPECT_EQ(Numbers(list), std::vector<int>{1});
}

TEST(IntrusiveListTest, AMemberOutlivesItsList) {
  Item one(1);
  {
    IntrusiveList<Item> list;
    list.PushBack(one);
  }
  EXPECT_FALSE(one.linked());
}

TEST(IntrusiveListTest, TakesAllOfAnother) {
  Item one(1), two(2), three(3);
  IntrusiveList<Item> left;
  IntrusiveList<Item> right;
  left.PushBack(one);
  right.PushBack(two);
  right.PushBack(three);
  left.TakeAll(right);
  left.TakeAll(right);
  EXPECT_TRUE(right.empty());
  EXPECT_EQ(Numbers(left), (std::vector<int>{1, 2, 3}));
}

}  // namespace
}  // namespace sallyport::core
