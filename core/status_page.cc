#include "core/status_page.h"

#include <string_view>

namespace sallyport::core {
namespace {

constexpr std::string_view kStyle = R"css(
:root{color-scheme:light dark;--ink:#1b2430;--soft:#5d6b7c;--line:#dfe5ec;--paper:#fff;--back:#f4f6f9;
--good:#1a7f4e;--good-back:#e2f5ea;--bad:#b3261e;--bad-back:#fdeceb;--wait:#8a5a00;--wait-back:#fdf3dc}
@media (prefers-color-scheme:dark){:root{--ink:#e6ebf2;--soft:#98a6b8;--line:#2b3644;--paper:#18202b;
--back:#10161e;--good:#5fd39a;--good-back:#143526;--bad:#ff8a80;--bad-back:#3d1a1a;--wait:#f0c05a;--wait-back:#3a2d10}}
*{box-sizing:border-box}
body{margin:0;padding:2.5rem 1.25rem;background:var(--back);color:var(--ink);
font:15px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,sans-serif}
main{max-width:62rem;margin:0 auto}
header{display:flex;flex-wrap:wrap;align-items:center;gap:.25rem 1rem;margin-bottom:1.75rem}
h1{font-size:1.6rem;line-height:1.2;margin:0;letter-spacing:-.01em}
header p{margin:0;color:var(--soft);flex-basis:100%}
.state{padding:.15rem .7rem;border-radius:1rem;font-weight:600;font-size:.85rem}
.good{color:var(--good);background:var(--good-back)}
.bad{color:var(--bad);background:var(--bad-back)}
.wait{color:var(--wait);background:var(--wait-back)}
.tiles{display:grid;grid-template-columns:repeat(auto-fit,minmax(9.5rem,1fr));gap:.8rem;margin:0 0 1.75rem}
.tiles div{background:var(--paper);border:1px solid var(--line);border-radius:.6rem;padding:.8rem 1rem}
.tiles dt{color:var(--soft);font-size:.82rem}
.tiles dd{margin:.1rem 0 0;font-size:1.45rem;font-weight:600;font-variant-numeric:tabular-nums}
.sections{display:grid;grid-template-columns:repeat(auto-fit,minmax(19rem,1fr));gap:.8rem;align-items:start}
section{background:var(--paper);border:1px solid var(--line);border-radius:.6rem;padding:1rem 1.1rem}
h2{font-size:1rem;margin:0 0 .5rem}
table{width:100%;border-collapse:collapse}
td,th{padding:.32rem 0;border-top:1px solid var(--line);text-align:left;font-weight:400;overflow-wrap:anywhere}
td{text-align:right;padding-left:1rem;font-variant-numeric:tabular-nums}
tr:first-child>*{border-top:0}
section p{margin:0;color:var(--soft)}
footer{margin-top:1.75rem;color:var(--soft);font-size:.85rem}
a{color:inherit}
)css";

std::string Html(std::string_view text) {
  std::string escaped;
  for (const char c : text) {
    switch (c) {
      case '&':
        escaped += "&amp;";
        break;
      case '<':
        escaped += "&lt;";
        break;
      case '>':
        escaped += "&gt;";
        break;
      case '"':
        escaped += "&quot;";
        break;
      case '\'':
        escaped += "&#39;";
        break;
      default:
        escaped += c;
    }
  }
  return escaped;
}

std::string State(const StatusPage& page) {
  if (page.draining) return "<span class=\"state wait\">draining</span>";
  if (page.readiness.ready) return "<span class=\"state good\">ready</span>";
  std::string reasons;
  for (const std::string& reason : page.readiness.reasons) {
    reasons += reasons.empty() ? ": " : ", ";
    reasons += Html(reason);
  }
  return "<span class=\"state bad\">not ready" + reasons + "</span>";
}

std::string Section(const StatusSection& section) {
  std::string html = "<section><h2>" + Html(section.title) + "</h2>";
  if (section.rows.empty()) return html + "<p>" + Html(section.when_empty) + "</p></section>\n";
  html += "<table>";
  for (const StatusRow& row : section.rows) {
    html +=
        "<tr><th scope=\"row\">" + Html(row.name) + "</th><td>" + Html(row.value) + "</td></tr>\n";
  }
  return html + "</table></section>\n";
}

// RFC 8259 §7. The words come from our own source; escaping keeps it true if one day they do not.
std::string JsonString(std::string_view text) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string json = "\"";
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      json += '\\';
      json += c;
    } else if (byte < 0x20) {
      json += "\\u00";
      json += kDigits[byte >> 4];
      json += kDigits[byte & 15];
    } else {
      json += c;
    }
  }
  return json + "\"";
}

}  // namespace

std::string RenderStatusPage(const StatusPage& page) {
  std::string html =
      "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">"
      "<meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">"
      "<meta http-equiv=\"refresh\" content=\"5\"><title>" +
      Html(page.title) + " · Sallyport</title><style>";
  html += kStyle;
  html += "</style></head>\n<body><main><header><h1>" + Html(page.title) + "</h1>" + State(page) +
          "<p>" + Html(page.subtitle) + "</p></header>\n<dl class=\"tiles\">";
  for (const StatusRow& tile : page.tiles) {
    html += "<div><dt>" + Html(tile.name) + "</dt><dd>" + Html(tile.value) + "</dd></div>\n";
  }
  html += "</dl>\n<div class=\"sections\">\n";
  for (const StatusSection& section : page.sections) html += Section(section);
  html +=
      "</div>\n<footer>For machines: <a href=\"/metrics\">/metrics</a> · "
      "<a href=\"/readyz\">/readyz</a> · <a href=\"/livez\">/livez</a>. "
      "This page refreshes every 5 seconds.</footer></main></body></html>\n";
  return html;
}

std::string RenderReadiness(const Readiness& readiness) {
  std::string json =
      readiness.ready ? "{\"ready\":true,\"reasons\":[" : "{\"ready\":false,\"reasons\":[";
  for (size_t i = 0; i < readiness.reasons.size(); ++i) {
    if (i != 0) json += ',';
    json += JsonString(readiness.reasons[i]);
  }
  return json + "]}\n";
}

}  // namespace sallyport::core
