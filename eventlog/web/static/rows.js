"use strict";
// How one event looks at a moment.

const SAID_BY = { user: "user", human: "user", assistant: "bot", ai: "bot", tool: "tool", function: "tool", system: "system", developer: "system" };
const OTHERS = {
  c: "The history was cleared",
  e: "The session was erased",
  u: "An event of a kind that this version does not know",
  d: "An event that cannot be read",
};

class Rows {
  constructor(moments, texts, onChange) {
    Object.assign(this, { moments, texts, onChange, moment: 0 });
    this.open = new Set();
    this.whole = new Map();
  }

  draw(n, before) {
    const { moments } = this;
    const newDay = before < 0 || day(moments.times[before]) !== day(moments.times[n]);
    const heading = newDay ? el("div", { class: "day" }, el("span", {}, day(moments.times[n]))) : null;
    const body = moments.isMessage(n) ? this.message(n) : this.other(n);
    return el("div", { class: "row", "data-n": n }, heading, body);
  }

  message(n) {
    const entry = this.texts.of(n);
    const gone = !this.moments.visible(n, this.moment);
    const by = entry ? SAID_BY[entry.role] || "other" : "waiting";
    const article = el("article", { class: `said ${by}${gone ? " gone" : ""}` }, this.head(n, entry, gone));
    if (!entry) article.append(el("p", { class: "text placeholder", "aria-label": "loading" }, "⋯"));
    else article.append(...this.content(n, entry));
    if (entry && this.open.has(n)) article.append(this.details(n, entry));
    return article;
  }

  other(n) {
    const entry = this.texts.of(n);
    const ignored = entry && entry.state === "ignored";
    const words = ignored ? "A clear by a clock that is more than a day ahead; ignored" : OTHERS[this.moments.marks[n]];
    const line = el("div", { class: `event ${this.moments.isClear(n) ? "clear" : "odd"}` },
      el("span", { class: "what" }, words), this.time(n, words), this.chips(entry, false, n));
    return entry && this.open.has(n) ? el("article", { class: "said other" }, line, this.details(n, entry)) : line;
  }

  head(n, entry, gone) {
    const role = el("span", { class: "role" }, ...shown(entry && entry.role ? entry.role : "…"));
    return el("header", {}, role, this.time(n, entry ? entry.role : "event"), this.chips(entry, gone, n));
  }

  time(n, what) {
    const ms = this.moments.times[n], open = this.open.has(n);
    const label = `${what}, ${clock(ms)}: details`;
    return el("button", { type: "button", class: "time", "aria-expanded": String(open), "aria-label": label, title: when(ms), onclick: () => this.toggle(n) },
      el("time", { datetime: new Date(ms).toISOString() }, clock(ms)));
  }

  toggle(n) {
    if (!this.open.delete(n)) this.open.add(n);
    this.onChange();
  }

  chips(entry, gone, n) {
    const words = [];
    if (gone) words.push([this.why(n, entry), "gone"]);
    if (entry && entry.pending) words.push([`waits for ${entry.pending.join(", ")}`, "wait"]);
    return words.length ? el("span", { class: "chips" }, ...words.map(([word, kind]) => el("span", { class: `chip ${kind}` }, word))) : null;
  }

  // What took it: known by the server, or seen here since.
  why(n, entry) {
    if (entry && !["visible", "unread"].includes(entry.state)) return entry.state;
    return this.moments.isClear(this.moments.ends[n]) ? "cleared" : "expired";
  }

  content(n, told) {
    const entry = this.whole.get(n) || told;
    if (entry.state === "erased") return [el("p", { class: "text none" }, "(erased)")];
    if (entry.state === "unread") return [el("p", { class: "text none" }, "(cannot be read now)")];
    if (!entry.role) return [el("p", { class: "text none" }, "(no longer kept)")];
    const text = entry.text || "";
    const parts = text ? [el("p", { class: "text", dir: "auto" }, ...shown(text))] : [];
    for (const [name, said] of entry.calls || []) {
      parts.push(el("p", { class: "call" }, el("span", { class: "arrow", "aria-label": "calls" }, "→ "), el("b", {}, ...shown(name)), " ", el("code", { dir: "auto" }, ...shown(said))));
    }
    if (entry.chars) parts.push(this.more(n, entry));
    return parts.length ? parts : [el("p", { class: "text none" }, "(empty)")];
  }

  more(n, entry) {
    return el("button", { type: "button", class: "quiet more", onclick: async () => {
      this.whole.set(n, await this.wholeEntry(n));
      this.onChange();
    } }, `Show all ${number(entry.chars)} characters`);
  }

  details(n, entry) {
    const facts = [["Event", entry.id], ["Number", `${number(n + 1)} of ${number(this.moments.total)}`], ["Written", new Date(this.moments.times[n]).toISOString()], ["Writer", entry.writer]];
    if (entry.expiry) facts.push(["Expires", `${entry.expiry}, ${entry.expires ? when(entry.expires) : "unknown"}`]);
    if (entry.clearedBy) facts.push(["Cleared by", entry.clearedBy]);
    facts.push(["Stored in", (entry.backends || []).join(", ") || "no backend that answers"]);
    if (entry.pending) facts.push(["Waits for", entry.pending.join(", ")]);
    if (entry.form) facts.push(["Form", entry.form]);
    return el("dl", { class: "facts" }, ...facts.flatMap(([name, fact]) => [el("dt", {}, name), el("dd", {}, fact)]));
  }
}
