"use strict";
// The page of one session: its moments, a slider through them, and what was to be seen at each.

const PLAY_MS = [60, 1500];
const ROWS_MAX = 100000; // a browser's page has a greatest height; what lies before them is reached with the slider

function remote(id) {
  return {
    id,
    outline: (since, stamp) => ask("outline", { id, since, stamp }),
    piece: (index) => ask("entries", { id, from: index * PIECE, to: (index + 1) * PIECE }),
    whole: async (n) => (await ask("entries", { id, from: n, to: n + 1, full: 1 }))[0],
    // A tab that nobody sees lets go of its connection: a browser has only a few for a server.
    live(onNews, onState) {
      let source = null;
      const listen = () => {
        source = new EventSource("/api/live?" + new URLSearchParams({ id }));
        source.addEventListener("news", onNews);
        source.addEventListener("open", () => onState(true));
        source.addEventListener("error", () => onState(false));
      };
      document.addEventListener("visibilitychange", () => {
        source.close();
        if (!document.hidden) listen();
      });
      listen();
    },
  };
}

function embedded() {
  const read = (name) => JSON.parse(document.getElementById(name).textContent);
  const outline = read("outline");
  return { id: outline.session, outline: async () => outline, piece: async (index) => read(`piece-${index}`), whole: null, live: null };
}

class SessionPage {
  constructor(source) {
    this.source = source;
    this.moments = new Moments();
    this.moment = 0;
    this.following = true;
    this.onlyVisible = false;
    this.texts = new Texts(source.piece, () => this.textsCame());
    this.rows = new Rows(this.moments, this.texts, () => this.list.redraw());
    this.rows.wholeEntry = source.whole;
    this.build();
    document.addEventListener("keydown", (event) => this.key(event));
  }

  build() {
    const button = (label, image, action, name) => el("button", { type: "button", class: `quiet ${name}`, "aria-label": label, title: label, onclick: action }, icon(image));
    this.about = el("p", { class: "about" });
    this.badge = el("span", { class: "badge", hidden: true });
    this.slider = el("input", { type: "range", min: 0, max: 0, step: 1, value: 0, "aria-label": "Moment", oninput: () => this.go(Number(this.slider.value)) });
    this.ticks = draw("svg", { class: "ticks", viewBox: "0 0 1000 1", preserveAspectRatio: "none", "aria-hidden": "true" });
    this.label = el("output", { class: "moment" });
    this.counts = el("span", { class: "counts" });
    this.playing = button("Play", "play", () => this.play(), "play");
    this.views = ["All", "As seen"].map((name, index) =>
      el("button", { type: "button", "aria-pressed": "false", onclick: () => this.view(index === 1) }, name));
    const title = el("div", { class: "title" }, el("h1", { dir: "auto", title: this.source.id }, ...shown(this.source.id)), el("div", { class: "sub" }, this.badge, this.about));
    this.scroller = el("main", { class: "scroller", tabindex: 0, "aria-label": "Timeline" });
    const player = el("footer", { class: "player", role: "group", "aria-label": "Moments" },
      el("div", { class: "line" }, this.label, this.counts, el("div", { class: "views", role: "group", "aria-label": "Show" }, ...this.views)),
      el("div", { class: "line" },
        button("To the clear before", "clearBefore", () => this.go(this.moments.clear(this.moment, -1)), "jump"), button("A moment back", "back", () => this.step(-1), "step"), this.playing,
        el("div", { class: "track" }, this.slider, this.ticks), button("A moment on", "on", () => this.step(1), "step"), button("To the next clear, or now", "nextClear", () => this.go(this.moments.clear(this.moment, 1)), "jump")));
    const keys = el("p", { class: "keys" }, ...["← → a moment", "shift 10", "↑ ↓ scroll", "c C clears", "Home End first, now", "space play", "v view"].map((text) => el("span", {}, text)));
    document.body.append(topBar("Session", this.source.live !== null), title, el("p", { id: "notice", role: "alert", hidden: true }), this.scroller, player, keys);
    this.list = new LongList(this.scroller, (n, before) => this.rows.draw(n, before), (numbers) => this.texts.want(numbers));
    this.list.follow = true;
  }

  async start() {
    await this.refresh();
    document.title = `${this.source.id} · eventlog`;
    document.body.dataset.ready = "yes";
    if (!this.source.live) return;
    this.source.live(() => this.news(), (alive) => this.setLive(alive));
    setInterval(() => this.lookAfterPending(), 2000);
  }

  setLive(alive) {
    this.badge.hidden = false;
    this.badge.className = alive ? "badge live" : "badge";
    this.badge.textContent = alive ? "live" : "not connected";
  }

  // One refresh at a time; news that come meanwhile make one more.
  async news() {
    this.again = true;
    if (this.refreshing) return;
    this.refreshing = true;
    while (this.again) {
      this.again = false;
      await this.refresh().catch((error) => notice(`The session cannot be read now: ${error.message}`));
    }
    this.refreshing = false;
  }

  async refresh() {
    const told = await this.source.outline(this.moments.total, this.moments.stamp);
    const atNow = this.moment >= this.moments.total, atEnd = this.list.atEnd, known = this.moments.total;
    if (this.moments.take(told)) this.texts.forget();
    else if (told.total > known) this.texts.forget(Math.floor(known / PIECE));
    if (told.total > known) this.rows.whole.clear();
    this.slider.max = this.moments.total;
    if (atNow) this.moment = this.moments.total;
    this.update(atNow && atEnd);
    this.describe();
    this.mark();
  }

  describe() {
    const { summary, source, complete } = this.moments;
    const parts = [counted(summary.messages, "message"), counted(summary.clears, "clear"), counted(summary.writers, "writer")];
    if (summary.first) parts.push(span(Date.parse(summary.first), Date.parse(summary.last)));
    this.about.replaceChildren(...parts.map((part) => el("span", {}, part)));
    notice("");
    if (!complete) notice(source === "journal" ? "No backend answers. This is only what waits in the journal." : `The first backend does not answer. This is what ${source} and the journal hold.`, "source");
    else notice("", "source");
  }

  // Where on the slider the history was cleared; of very many, as many as can be told apart.
  mark() {
    const places = new Set();
    for (let n = 0; n < this.moments.total; n++) if (this.moments.isClear(n)) places.add(Math.round((1000 * n) / this.moments.total));
    this.ticks.replaceChildren(...[...places].map((x) => draw("line", { x1: x, x2: x, y1: 0, y2: 1 })));
  }

  textsCame() {
    const atEnd = this.list.atEnd;
    this.list.redraw();
    if (atEnd && this.list.follow) this.list.toEnd();
  }

  // What waits, or could not be read, is asked for again: that changes without any news of the session.
  lookAfterPending() {
    const waiting = [...this.list.rows.keys()].map((n) => this.texts.of(n)).some((entry) => entry && (entry.pending || entry.unread || entry.state === "unread"));
    if (waiting) {
      this.texts.forget();
      this.list.paint(false);
    }
  }

  go(moment) {
    moment = Math.max(0, Math.min(this.moments.total, moment));
    if (moment === this.moment) return;
    this.moment = moment;
    this.update(true);
  }

  step(count) {
    this.stop();
    this.go(this.moment + count);
  }

  view(onlyVisible) {
    this.onlyVisible = onlyVisible;
    this.update(this.list.atEnd);
  }

  update(toEnd) {
    const { moments, moment } = this;
    this.rows.moment = moment;
    this.slider.value = moment;
    this.slider.setAttribute("aria-valuetext", moments.label(moment));
    this.label.textContent = moments.label(moment);
    const past = Math.min(moments.total, moment + 1);
    const visible = moments.countVisible(moment);
    this.counts.textContent = `${counted(visible, "message")} seen · ${moment >= moments.total ? counted(past, "event") : `event ${number(past)} of ${number(moments.total)}`}`;
    this.views.forEach((view, index) => view.setAttribute("aria-pressed", String(this.onlyVisible === (index === 1))));
    const numbers = moments.order(moment, this.onlyVisible);
    notice(numbers.length > ROWS_MAX ? `Listed are the last ${number(ROWS_MAX)} of them; the slider leads further back.` : "", "rows");
    this.list.show(numbers.subarray(-ROWS_MAX), toEnd);
    this.scroller.classList.toggle("empty", !this.list.numbers.length);
    document.body.dataset.moment = moment;
  }

  // Plays the moments as they came, ten times as fast, no pause too short or too long.
  play() {
    if (this.timer) return this.stop();
    if (this.moment >= this.moments.total) this.go(0);
    this.showPlaying(true);
    const next = () => {
      if (this.moment >= this.moments.total) return this.stop();
      this.go(this.moment + 1);
      const { times } = this.moments;
      const pause = this.moment < this.moments.total ? (times[this.moment] - times[this.moment - 1]) / 10 : 0;
      this.timer = setTimeout(next, Math.max(PLAY_MS[0], Math.min(PLAY_MS[1], pause)));
    };
    this.timer = setTimeout(next, PLAY_MS[0]);
  }

  stop() {
    clearTimeout(this.timer);
    this.timer = null;
    this.showPlaying(false);
  }

  showPlaying(playing) {
    this.playing.replaceChildren(icon(playing ? "pause" : "play"));
    this.playing.setAttribute("aria-label", playing ? "Pause" : "Play");
  }

  key(event) {
    if (typing(event)) return;
    const count = event.shiftKey ? 10 : 1;
    const onButton = event.target.matches("button, a");
    const actions = {
      ArrowLeft: () => this.step(-count),
      ArrowRight: () => this.step(count),
      Home: () => { this.stop(); this.go(0); },
      End: () => { this.stop(); this.go(this.moments.total); },
      c: () => this.go(this.moments.clear(this.moment, 1)),
      C: () => this.go(this.moments.clear(this.moment, -1)),
      v: () => this.view(!this.onlyVisible),
      ArrowUp: () => { this.scroller.scrollTop -= 60; },
      ArrowDown: () => { this.scroller.scrollTop += 60; },
      " ": onButton ? null : () => this.play(),
    };
    if (!actions[event.key]) return;
    event.preventDefault();
    actions[event.key]();
  }
}

const page = new SessionPage(document.getElementById("outline") ? embedded() : remote(new URLSearchParams(location.search).get("id") || ""));
page.start().catch((error) => notice(`The session cannot be read: ${error.message}`));
