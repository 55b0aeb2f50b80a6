#include "sip/message/message_edit.h"

#include <gtest/gtest.h>

#include <array>
#include <string>

#include "sip/message/message_parser.h"
#include "sip/message/value_list.h"
#include "tests/unit/sip/message/corpus.h"

namespace sallyport::sip {
namespace {

std::string Result(const MessageEdit& edit) {
  std::string copied(edit.size(), '\0');
  EXPECT_EQ(edit.CopyTo(copied), copied.size());
  std::array<std::string_view, 2 * MessageEdit::kEditsMax + 1> pieces;
  std::string gathered;
  const size_t count = edit.Pieces(pieces);
  for (size_t i = 0; i < count; ++i) {
    EXPECT_FALSE(pieces[i].empty());
    gathered += pieces[i];
  }
  EXPECT_EQ(copied, gathered);
  return copied;
}

TEST(MessageEditTest, NoEditIsACopy) {
  MessageEdit edit;
  edit.Reset("abc");
  EXPECT_EQ(Result(edit), "abc");
}

TEST(MessageEditTest, OrderOfCallsIsFree) {
  const std::string text = "0123456789";
  const char* const at = text.data();
  MessageEdit edit;
  edit.Reset(text);
  edit.InsertBefore(at + 10, "E");
  edit.Replace({at + 4, 2}, "xyz");
  edit.InsertBefore(at, "A");
  edit.InsertBefore(at, "B");
  edit.Remove(at + 1, at + 3);
  edit.InsertBefore(at + 4, "C");  // Before what is replaced there.
  edit.InsertBefore(at + 6, "D");  // Directly after it.
  ASSERT_TRUE(edit.ok());
  EXPECT_EQ(Result(edit), "AB03CxyzD6789E");
  edit.Reset(text);
  EXPECT_EQ(Result(edit), text);
}

TEST(MessageEditTest, OverlapsAndStrangersMakeItUnusable) {
  const std::string text = "0123456789";
  const std::string other = "abc";
  const char* const at = text.data();
  const auto broken = [&text](auto edits) {
    MessageEdit edit;
    edit.Reset(text);
    edits(edit);
    std::array<char, 64> out;
    return !edit.ok() && edit.CopyTo(out) == 0;
  };
  EXPECT_TRUE(broken(
      [at](MessageEdit& edit) { edit.Remove(at + 2, at + 5), edit.Remove(at + 4, at + 6); }));
  EXPECT_TRUE(broken(
      [at](MessageEdit& edit) { edit.Remove(at + 4, at + 6), edit.Remove(at + 2, at + 5); }));
  EXPECT_TRUE(broken(
      [at](MessageEdit& edit) { edit.Remove(at + 4, at + 6), edit.Remove(at + 4, at + 6); }));
  EXPECT_TRUE(broken(
      [at](MessageEdit& edit) { edit.Remove(at + 2, at + 5), edit.InsertBefore(at + 3, "x"); }));
  EXPECT_TRUE(broken(
      [at](MessageEdit& edit) { edit.InsertBefore(at + 3, "x"), edit.Remove(at + 2, at + 5); }));
  EXPECT_TRUE(broken([&other](MessageEdit& edit) { edit.Remove(other); }));
  EXPECT_TRUE(broken([at](MessageEdit& edit) { edit.InsertBefore(at + 11, "x"); }));
  EXPECT_TRUE(broken([at](MessageEdit& edit) { edit.Remove(at + 5, at + 4); }));
}

TEST(MessageEditTest, LimitsAndLimitsPlusOne) {
  const std::string text(MessageEdit::kEditsMax + 1, 'x');
  MessageEdit edit;
  edit.Reset(text);
  for (size_t i = 0; i < MessageEdit::kEditsMax; ++i) edit.InsertBefore(text.data() + i, "y");
  EXPECT_TRUE(edit.ok());
  EXPECT_EQ(Result(edit).size(), text.size() + MessageEdit::kEditsMax);
  edit.InsertBefore(text.data(), "y");
  EXPECT_FALSE(edit.ok());

  edit.Reset(text);
  const std::string half(MessageEdit::kArenaBytes / 2, 'h');
  EXPECT_EQ(edit.Store({half, half}).size(), MessageEdit::kArenaBytes);
  EXPECT_TRUE(edit.ok());
  EXPECT_EQ(edit.Store({"x"}), "");
  EXPECT_FALSE(edit.ok());

  edit.Reset(text);
  std::array<char, 8> small;
  EXPECT_EQ(edit.CopyTo(small), 0U);
}

// Goal: what a proxy does to a request gives the request that it means. Method: edit, parse again,
// compare.
TEST(MessageEditTest, ForwardedRequestParsesAgain) {
  const std::string wire = ReadCorpus("messages/invite_typical.sip");
  MessageView view;
  ASSERT_EQ(ParseMessage(wire, Framing::kStream, view), ParseOutcome::kOk);
  MessageEdit edit;
  edit.Reset(view.bytes());
  edit.InsertBefore(view.First(HeaderId::kVia)->line().data(),
                    "Via: SIP/2.0/TCP edge.example;branch=z9hG4bKours\r\n");
  MarkTopVia(view, "198.51.100.23", "40312", edit);
  edit.Replace(view.First(HeaderId::kMaxForwards)->value, "68");
  EXPECT_EQ(RemoveAll(view, HeaderId::kPAssertedIdentity, edit), 1U);
  edit.InsertBefore(view.headers_end(),
                    edit.Store({"P-Asserted-Identity: <", view.from().uri_text, ">\r\n"}));
  const std::string forwarded = Result(edit);
  MessageView again;
  ASSERT_EQ(ParseMessage(forwarded, Framing::kStream, again), ParseOutcome::kOk);
  EXPECT_EQ(again.top_via().branch, "z9hG4bKours");
  EXPECT_EQ(again.Count(HeaderId::kVia), 2U);
  Via second;
  ASSERT_TRUE(ParseVia(again.NextSame(again.First(HeaderId::kVia))->value, second));
  EXPECT_EQ(second.received, "198.51.100.23");
  EXPECT_EQ(second.rport, "40312");
  EXPECT_EQ(again.max_forwards(), 68);
  EXPECT_EQ(again.First(HeaderId::kPAssertedIdentity)->value,
            "<sip:+4989987654@a.example;user=phone>");
  EXPECT_EQ(again.headers().back().id, HeaderId::kPAssertedIdentity);
  EXPECT_EQ(again.from().uri_text, view.from().uri_text);
  EXPECT_EQ(again.body(), view.body());
}

TEST(MessageEditTest, TopViaGoesAloneOrFromItsLine) {
  const std::string wire = ReadCorpus("messages/ok_200.sip");
  MessageView view;
  ASSERT_EQ(ParseMessage(wire, Framing::kStream, view), ParseOutcome::kOk);
  MessageEdit edit;
  edit.Reset(view.bytes());
  RemoveTopVia(view, edit);
  const std::string once = Result(edit);
  MessageView again;
  ASSERT_EQ(ParseMessage(once, Framing::kStream, again), ParseOutcome::kOk);
  EXPECT_EQ(again.top_via().host, "sbc1.a.example");
  EXPECT_EQ(again.top_via_rest(), "");
  edit.Reset(again.bytes());
  RemoveTopVia(again, edit);
  const std::string twice = Result(edit);
  MessageView last;
  EXPECT_EQ(ParseMessage(twice, Framing::kStream, last), ParseOutcome::kMissingVia);
}

TEST(MessageEditTest, OneValueOfSeveral) {
  const std::string head = "OPTIONS sip:a SIP/2.0\r\n";
  const std::string expected[] = {"Route: <sip:b>,<sip:c>\r\n\r\n",
                                  "Route: <sip:a;x=\"1,2\">  ,\r\n <sip:c>\r\n\r\n",
                                  "Route: <sip:a;x=\"1,2\">  ,\r\n <sip:b>\r\n\r\n"};
  const std::string wire = head + "Route: <sip:a;x=\"1,2\">  ,\r\n <sip:b>,<sip:c>\r\n\r\n";
  MessageView view;
  static_cast<void>(ParseMessage(wire, Framing::kDatagram, view));
  const HeaderField* const field = view.First(HeaderId::kRoute);
  ASSERT_NE(field, nullptr);
  for (int remove = 0; remove < 3; ++remove) {
    ValueList values(field->value);
    std::string_view value;
    for (int i = 0; i <= remove; ++i) ASSERT_TRUE(values.Next(value));
    MessageEdit edit;
    edit.Reset(view.bytes());
    RemoveValue(*field, value, edit);
    EXPECT_EQ(Result(edit), head + expected[remove]) << remove;
  }
  const std::string single = head + "Route: <sip:a>\r\nX: y\r\n\r\n";
  static_cast<void>(ParseMessage(single, Framing::kDatagram, view));
  MessageEdit edit;
  edit.Reset(view.bytes());
  RemoveValue(*view.First(HeaderId::kRoute), view.First(HeaderId::kRoute)->value, edit);
  EXPECT_EQ(Result(edit), head + "X: y\r\n\r\n");
}

}  // namespace
}  // namespace sallyport::sip
