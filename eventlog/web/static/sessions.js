"use strict";
// The list of sessions: those that begin with what is typed, a page at a time.

class SessionsPage {
  constructor() {
    this.search = el("input", { type: "search", id: "prefix", placeholder: "Begins with …", autocomplete: "off", spellcheck: "false", oninput: () => this.soon() });
    this.open = el("a", { class: "button" }, "Open");
    this.count = el("p", { class: "count", role: "status" });
    this.list = el("ul", { class: "sessions" });
    this.more = el("button", { type: "button", class: "quiet", hidden: true, onclick: () => this.load(this.last) }, "Show more");
    const find = el("div", { class: "find" }, el("label", { for: "prefix" }, "Session"), this.search, this.open);
    document.body.append(topBar("Sessions"), el("main", { class: "page" }, el("h1", {}, "Sessions"), find,
      el("p", { id: "notice", role: "alert", hidden: true }), this.count, this.list, this.more));
    this.asked = 0;
    document.addEventListener("keydown", (event) => this.key(event));
  }

  soon() {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.load(""), 120);
    this.link();
  }

  link() {
    const typed = this.search.value;
    this.open.toggleAttribute("hidden", !typed);
    if (typed) this.open.href = sessionAddress(typed);
  }

  async load(after) {
    const asked = ++this.asked, prefix = this.search.value;
    this.link();
    try {
      const found = await ask("sessions", { prefix, after });
      if (asked === this.asked) this.show(found, after);
      notice("");
    } catch (error) {
      notice(`The sessions cannot be listed: ${error.message}. One whose id you know can be opened.`);
    }
    document.body.dataset.ready = "yes";
  }

  show(found, after) {
    if (!after) this.list.replaceChildren();
    for (const id of found.sessions) this.list.append(el("li", {}, el("a", { href: sessionAddress(id), dir: "auto" }, ...shown(id))));
    this.last = found.sessions.at(-1) || "";
    this.more.hidden = !found.more;
    this.count.textContent = found.total ? `${counted(found.total, "session")}${found.more ? `, ${number(this.list.children.length)} of them shown` : ""}` : this.search.value ? "No session begins with that." : "No sessions yet.";
  }

  key(event) {
    if (event.key === "/" && event.target !== this.search) {
      event.preventDefault();
      this.search.focus();
    } else if (event.key === "Enter" && event.target === this.search && this.search.value) {
      location.href = this.open.href;
    } else if (["ArrowDown", "ArrowUp"].includes(event.key)) this.walk(event);
  }

  walk(event) {
    const links = [...this.list.querySelectorAll("a")], at = links.indexOf(document.activeElement);
    const next = links[at + (event.key === "ArrowDown" ? 1 : -1)];
    if (!next && at < 0) return;
    event.preventDefault();
    (next || (event.key === "ArrowUp" ? this.search : links[at])).focus();
  }
}

const page = new SessionsPage();
page.search.value = new URLSearchParams(location.search).get("prefix") || "";
page.load("");
