"use strict";
// A list of any length, of which only what is seen is in the page. Rows have the heights that their content wants: what
// was not seen yet is estimated, and what is looked at never jumps when an estimate turns out wrong.

const ESTIMATE_PX = 78;
const MARGIN_PX = 600;
const END_PX = 10;

// Heights with their sums, so that place and number are found in a few steps (a Fenwick tree).
class Heights {
  constructor(heights) {
    const sums = (this.sums = new Float64Array(heights.length + 1));
    this.heights = heights;
    for (let at = 1; at <= heights.length; at++) {
      sums[at] += heights[at - 1];
      const parent = at + (at & -at);
      if (parent <= heights.length) sums[parent] += sums[at];
    }
  }

  above(index) {
    let sum = 0;
    for (let at = index; at > 0; at -= at & -at) sum += this.sums[at];
    return sum;
  }

  set(index, height) {
    const change = height - this.heights[index];
    this.heights[index] = height;
    for (let at = index + 1; at < this.sums.length; at += at & -at) this.sums[at] += change;
    return change;
  }

  at(place) {
    let index = 0;
    for (let step = 1 << 30; step; step >>= 1) {
      if (index + step < this.sums.length && this.sums[index + step] <= place) {
        index += step;
        place -= this.sums[index];
      }
    }
    return Math.min(index, Math.max(0, this.heights.length - 1));
  }
}

class LongList {
  // `scroller` scrolls, `draw(n, before)` makes the element of an event, `wanted(numbers)` hears what is shown.
  constructor(scroller, draw, wanted) {
    Object.assign(this, { scroller, draw, wanted });
    this.space = el("div", { class: "space", role: "list", "aria-label": "Events" });
    scroller.append(this.space);
    this.numbers = new Int32Array(0);
    this.heights = new Heights(new Float64Array(0));
    this.measured = new Float32Array(0);
    this.rows = new Map();
    this.width = 0;
    scroller.addEventListener("scroll", () => this.soon());
    new ResizeObserver(() => this.resized()).observe(scroller);
  }

  get atEnd() {
    return this.scroller.scrollTop + this.scroller.clientHeight >= this.space.offsetHeight - 40;
  }

  // Shows other events; stays where it was, or goes to the end.
  show(numbers, toEnd) {
    const anchor = this.anchor();
    this.numbers = numbers;
    this.heights = new Heights(this.known(numbers));
    this.stretch();
    this.paint(true);
    if (toEnd) this.toEnd();
    else this.hold(anchor);
  }

  // The heights that were measured, by the numbers of the events, or estimates.
  known(numbers) {
    const most = numbers.length ? numbers[numbers.length - 1] + 1 : 0;
    if (most > this.measured.length) {
      const measured = new Float32Array(2 * most);
      measured.set(this.measured);
      this.measured = measured;
    }
    const heights = new Float64Array(numbers.length);
    for (let index = 0; index < numbers.length; index++) heights[index] = this.measured[numbers[index]] || ESTIMATE_PX;
    return heights;
  }

  redraw() {
    this.paint(true);
  }

  toEnd() {
    for (let tries = 0; tries < 4; tries++) {
      this.scroller.scrollTop = this.space.offsetHeight;
      this.paint(false);
    }
  }

  toNumber(n) {
    const index = this.indexOf(n);
    for (let tries = 0; tries < 3; tries++) {
      this.scroller.scrollTop = this.heights.above(index) - 24;
      this.paint(false);
    }
  }

  indexOf(n) {
    let low = 0, high = this.numbers.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.numbers[middle] < n) low = middle + 1; else high = middle;
    }
    return low;
  }

  anchor() {
    const index = this.heights.at(this.scroller.scrollTop);
    return { n: this.numbers[index], offset: this.scroller.scrollTop - this.heights.above(index) };
  }

  hold(anchor) {
    if (anchor.n === undefined) return;
    const index = this.indexOf(anchor.n);
    if (index < this.numbers.length) this.scroller.scrollTop = this.heights.above(index) + anchor.offset;
    this.paint(false);
  }

  stretch() {
    this.space.style.height = `${Math.ceil(this.heights.above(this.numbers.length)) + END_PX}px`;
  }

  soon() {
    if (this.planned) return;
    this.planned = true;
    requestAnimationFrame(() => { this.planned = false; this.paint(false); });
  }

  resized() {
    if (this.scroller.clientWidth !== this.width) {
      this.width = this.scroller.clientWidth;
      this.measured.fill(0);
      for (const row of this.rows.values()) row.measured = false;
    }
    this.paint(false);
  }

  paint(anew) {
    const { scrollTop, clientHeight } = this.scroller;
    const first = this.heights.at(Math.max(0, scrollTop - MARGIN_PX));
    const last = this.numbers.length ? this.heights.at(scrollTop + clientHeight + MARGIN_PX) : -1;
    const painted = [];
    for (let index = last; index >= first; index--) painted.push([this.numbers[index], this.row(index, anew, painted.at(-1)?.[1])]);
    const kept = new Map(painted.reverse());
    for (const [n, row] of this.rows) if (!kept.has(n)) row.element.remove();
    this.rows = kept;
    this.place(first, last);
    this.wanted([...kept.keys()]);
  }

  // The element of an event, in front of that of the next, so that their order in the page is theirs in time.
  row(index, anew, next) {
    const n = this.numbers[index], before = index ? this.numbers[index - 1] : -1;
    const row = this.rows.get(n);
    if (row && !anew && row.before === before) return row;
    const drawn = this.draw(n, before);
    const same = row && row.element.innerHTML === drawn.innerHTML;
    const element = same ? row.element : drawn;
    element.setAttribute("role", "listitem");
    element.setAttribute("aria-setsize", this.numbers.length);
    element.setAttribute("aria-posinset", index + 1);
    if (!row) this.space.insertBefore(element, next ? next.element : null);
    else if (!same) this.exchange(row.element, element);
    return { element, before, measured: Boolean(same && row.measured) };
  }

  // Puts a row in the place of another one; who was at one of its buttons stays at that button.
  exchange(old, element) {
    const at = [...old.querySelectorAll("button")].indexOf(document.activeElement);
    old.replaceWith(element);
    if (at >= 0) element.querySelectorAll("button")[at]?.focus({ preventScroll: true });
  }

  // Measures what is new, and keeps the first row that is seen where it is.
  place(first, last) {
    const top = this.scroller.scrollTop, seen = this.heights.at(top), ending = this.atEnd;
    let shift = 0;
    for (let index = first; index <= last; index++) {
      const row = this.rows.get(this.numbers[index]);
      if (row.measured) continue;
      row.measured = true;
      const height = row.element.offsetHeight;
      this.measured[this.numbers[index]] = height;
      const change = this.heights.set(index, height);
      if (index < seen) shift += change;
    }
    let at = this.heights.above(first);
    for (let index = first; index <= last; index++) {
      this.rows.get(this.numbers[index]).element.style.transform = `translateY(${at}px)`;
      at += this.heights.heights[index];
    }
    this.stretch();
    if (ending && this.follow) this.scroller.scrollTop = this.space.offsetHeight;
    else if (shift) this.scroller.scrollTop = top + shift;
  }
}
