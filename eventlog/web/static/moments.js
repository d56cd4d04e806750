"use strict";
// The outline of a session: of every event its kind and its time, of every message the moment at which it was gone.
// A moment is the number of an event; the number after the last one is now. What is visible when was worked out by
// the server; here it is only looked up.

class Moments {
  constructor() {
    this.total = 0;
    this.times = new Float64Array(0);
    this.ends = new Int32Array(0);
    this.marks = "";
    this.said = new Uint8Array(0); // 1: a message, 2: one that goes with others
    this.all = new Int32Array(0);
    this.stamp = "";
    this.lapsed = new Set();
  }

  // Takes what the server tells; says whether something that was known before has changed.
  take(told) {
    const kept = told.from > 0 ? told.from : 0;
    const before = this.ends;
    const times = new Float64Array(told.total);
    times.set(this.times.subarray(0, kept));
    let at = 0;
    told.times.forEach((delta, index) => { times[kept + index] = at += delta; });
    this.times = times;
    this.marks = this.marks.slice(0, kept) + told.marks;
    this.said = Uint8Array.from(this.marks, (mark) => (mark === "s" ? 2 : mark === "m" || mark === "f" ? 1 : 0));
    this.all = Int32Array.from({ length: told.total }, (_, n) => n);
    this.ends = new Int32Array(told.total);
    let index = 0;
    for (const [end, count] of told.ends) {
      this.ends.fill(end < 0 ? told.total + 1 : end, index, index + count);
      index += count;
    }
    Object.assign(this, { total: told.total, stamp: told.stamp, summary: told.summary, now: told.now });
    Object.assign(this, { source: told.source, complete: told.complete, erasedBelow: told.erasedBelow });
    this.lapsed = new Set(told.lapsed);
    return kept === 0 || before.some((end, n) => (end > kept ? told.total + 1 : end) !== this.ends[n]);
  }

  isMessage(n) { return this.said[n] > 0; }
  isClear(n) { return "ce".includes(this.marks[n]); }

  visible(n, moment) {
    return this.said[n] > 0 && n <= moment && moment < this.ends[n] && !(this.said[n] === 2 && this.lapsed.has(moment));
  }

  // The events to show at a moment, as their numbers: all that had happened, or only what was visible.
  order(moment, onlyVisible) {
    const happened = this.all.subarray(0, moment + 1);
    return onlyVisible ? happened.filter((n) => this.visible(n, moment)) : happened;
  }

  countVisible(moment) {
    let count = 0;
    for (let n = 0; n < Math.min(this.total, moment + 1); n++) count += this.visible(n, moment);
    return count;
  }

  // The next moment in a direction at which the history was cleared; the first or the last one if there is none.
  clear(moment, step) {
    for (let n = moment + step; n >= 0 && n < this.total; n += step) if (this.isClear(n)) return n;
    return step < 0 ? 0 : this.total;
  }

  label(moment) {
    if (!this.total) return "nothing yet";
    return moment >= this.total ? "Now" : moment < 0 ? "before the first event" : when(this.times[moment]);
  }
}

// Where the texts come from: this page itself, or the server, piece by piece.

const PIECE = 200;
const PIECES_MAX = 60;

class Texts {
  constructor(fetchPiece, onLoad) {
    this.fetchPiece = fetchPiece;
    this.onLoad = onLoad;
    this.pieces = new Map();
    this.round = 0;
  }

  of(n) {
    const piece = this.pieces.get(Math.floor(n / PIECE));
    return piece && piece.entries ? piece.entries[n % PIECE] : null;
  }

  // What is there is read again when it is shown next: all of it, or one piece.
  forget(only) {
    this.round += 1;
    for (const [index, piece] of this.pieces) if (only === undefined || index === only) piece.stale = true;
  }

  // Ask for what is shown, and let go of what was shown long ago.
  want(numbers) {
    for (const index of new Set(numbers.map((n) => Math.floor(n / PIECE)))) {
      const piece = this.pieces.get(index) || {};
      this.pieces.delete(index);
      this.pieces.set(index, piece);
      if (!piece.loading && (!piece.entries || piece.stale)) this.load(index, piece);
    }
    while (this.pieces.size > PIECES_MAX) this.pieces.delete(this.pieces.keys().next().value);
  }

  async load(index, piece) {
    const round = this.round;
    piece.loading = true;
    try {
      const known = piece.entries || [];
      const told = await this.fetchPiece(index);
      piece.entries = told.map((entry, at) => (entry.state === "unread" && known[at] && known[at].id === entry.id ? { ...known[at], unread: true } : entry));
      piece.stale = round !== this.round;
      notice("", "text");
    } catch (error) {
      notice(`The text cannot be read now: ${error.message}`, "text");
      await new Promise((done) => setTimeout(done, 2000));
    }
    piece.loading = false;
    this.onLoad();
  }
}
