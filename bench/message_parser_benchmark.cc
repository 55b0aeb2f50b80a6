// What does reading a message cost? The 1,005-byte INVITE of the corpus: framed, parsed with From,
// To, Via, Request-URI and CSeq read (ParseMessage has parsed them), edited as a proxy does,
// answered.
#include <benchmark/benchmark.h>

#include <array>
#include <fstream>
#include <iterator>
#include <string>

#include "core/check.h"
#include "sip/message/framer.h"
#include "sip/message/message_edit.h"
#include "sip/message/message_parser.h"
#include "sip/message/message_writer.h"

namespace sallyport::sip {
namespace {

std::string ReadMessage(const std::string& name) {
  std::ifstream file(SALLYPORT_TEST_CORPUS "/messages/" + name, std::ios::binary);
  CHECK(file.good());
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

void CountBytes(benchmark::State& state, size_t bytes) {
  state.SetBytesProcessed(static_cast<int64_t>(state.iterations()) * static_cast<int64_t>(bytes));
}

// Question: index the INVITE and read what every request needs read?
void BM_ParseInvite(benchmark::State& state) {
  const std::string wire = ReadMessage("invite_typical.sip");
  CHECK(wire.size() == 1005);
  MessageView view;
  for (auto _ : state) {
    CHECK(ParseMessage(wire, Framing::kStream, view) ==
          ParseOutcome::kOk);  // A fast wrong answer is not a result.
    benchmark::DoNotOptimize(view.from().uri.host.data());
    benchmark::DoNotOptimize(view.to().uri.host.data());
    benchmark::DoNotOptimize(view.top_via().branch.data());
    benchmark::DoNotOptimize(view.parsed_request_uri().host.data());
    benchmark::DoNotOptimize(view.cseq().number);
  }
  CountBytes(state, wire.size());
}
BENCHMARK(BM_ParseInvite);

// Question: the same for messages of other shapes (one after the other, so that the branch
// predictor cannot learn one)?
void BM_ParseMixed(benchmark::State& state) {
  std::array<std::string, 4> wires = {ReadMessage("invite_typical.sip"), ReadMessage("options.sip"),
                                      ReadMessage("register.sip"), ReadMessage("ok_200.sip")};
  MessageView view;
  size_t bytes = 0;
  for (const std::string& wire : wires) bytes += wire.size();
  for (auto _ : state) {
    for (const std::string& wire : wires) {
      CHECK(ParseMessage(wire, Framing::kStream, view) == ParseOutcome::kOk);
      benchmark::DoNotOptimize(view.from().uri.host.data());
    }
  }
  CountBytes(state, bytes);
}
BENCHMARK(BM_ParseMixed);

// Question: find the end of the INVITE on a stream?
void BM_FrameInvite(benchmark::State& state) {
  const std::string wire = ReadMessage("invite_typical.sip");
  Framer framer(FramerLimits{});
  for (auto _ : state) {
    const Frame frame = framer.Next(wire);
    CHECK(frame.outcome == FrameOutcome::kMessage);
    benchmark::DoNotOptimize(frame.bytes.data());
  }
  CountBytes(state, wire.size());
}
BENCHMARK(BM_FrameInvite);

// Question: the edits of a forwarded request (mark the top Via, push ours, lower Max-Forwards,
// replace the asserted identity) and the copy of the result?
void BM_ForwardEdits(benchmark::State& state) {
  const std::string wire = ReadMessage("invite_typical.sip");
  MessageView view;
  CHECK(ParseMessage(wire, Framing::kStream, view) == ParseOutcome::kOk);
  MessageEdit edit;
  std::array<char, 4096> out;
  for (auto _ : state) {
    edit.Reset(view.bytes());
    edit.InsertBefore(
        view.First(HeaderId::kVia)->line().data(),
        "Via: SIP/2.0/TCP edge.example:5070;branch=z9hG4bK0123456789abcdef0123456789abcdef\r\n");
    MarkTopVia(view, "198.51.100.23", "40312", edit);
    edit.Replace(view.First(HeaderId::kMaxForwards)->value, "68");
    CHECK(RemoveAll(view, HeaderId::kPAssertedIdentity, edit) == 1);
    edit.InsertBefore(view.headers_end(),
                      edit.Store({"P-Asserted-Identity: <", view.from().uri_text, ">\r\n"}));
    CHECK(edit.CopyTo(out) != 0);
    benchmark::DoNotOptimize(out.data());
  }
  CountBytes(state, wire.size());
}
BENCHMARK(BM_ForwardEdits);

// Question: a 403 of our own?
void BM_WriteResponse(benchmark::State& state) {
  const std::string wire = ReadMessage("invite_typical.sip");
  MessageView view;
  CHECK(ParseMessage(wire, Framing::kStream, view) == ParseOutcome::kOk);
  std::array<char, 4096> out;
  ResponseParts parts;
  parts.status = 403;
  parts.reason = "From Not Covered By Certificate";
  parts.to_tag = "0123456789abcdef";
  parts.via_received = "198.51.100.23";
  parts.via_rport = "40312";
  for (auto _ : state) {
    CHECK(WriteResponse(parts, view, out) != 0);
    benchmark::DoNotOptimize(out.data());
  }
}
BENCHMARK(BM_WriteResponse);

}  // namespace
}  // namespace sallyport::sip
