"use strict";
// What all pages share: elements, times, the server, the bar at the top. Text only ever becomes text nodes.

function el(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (value === true) element.setAttribute(name, "");
    else if (value !== false && value !== null && value !== undefined) element.setAttribute(name, value);
  }
  element.append(...children.filter((child) => child !== null && child !== undefined && child !== ""));
  return element;
}

// Characters that act instead of being seen are shown by their number.
const ACTING = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]/gu;

function shown(text) {
  const parts = [];
  let from = 0;
  for (const found of text.matchAll(ACTING)) {
    const code = found[0].codePointAt(0).toString(16).toUpperCase().padStart(4, "0");
    parts.push(text.slice(from, found.index), el("span", { class: "code-point" }, `U+${code}`));
    from = found.index + found[0].length;
  }
  parts.push(text.slice(from));
  return parts.filter((part) => part !== "");
}

function draw(tag, attributes, ...children) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

const ICONS = {
  back: "M14 6l-6 6 6 6", on: "M10 6l6 6-6 6", clearBefore: "M18 6l-8 6 8 6zM6.5 6v12", nextClear: "M6 6l8 6-8 6zM17.5 6v12",
  play: "M8 5.5l11 6.5-11 6.5z", pause: "M8 6v12M16 6v12", theme: "M12 4a8 8 0 1 0 0 16zM12 4a8 8 0 0 1 0 16",
};

const icon = (name) => draw("svg", { class: `icon ${name}`, viewBox: "0 0 24 24", "aria-hidden": "true" }, draw("path", { d: ICONS[name] }));

const CLOCK = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" });
const DAY = new Intl.DateTimeFormat(undefined, { weekday: "long", day: "numeric", month: "long", year: "numeric" });
const SHORT = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "short", year: "numeric" });

const clock = (ms) => CLOCK.format(ms);
const day = (ms) => DAY.format(ms);
const when = (ms) => `${SHORT.format(ms)}, ${CLOCK.format(ms)}`;
const span = (first, last) => (day(first) === day(last) ? `${when(first)} to ${clock(last)}` : `${when(first)} to ${when(last)}`);
const number = (value) => value.toLocaleString();
const counted = (value, one, more = one + "s") => `${number(value)} ${value === 1 ? one : more}`;

function age(seconds) {
  for (const [unit_s, unit] of [[86400, "d"], [3600, "h"], [60, "min"]]) {
    if (seconds >= 2 * unit_s) return `${Math.round(seconds / unit_s)} ${unit}`;
  }
  return seconds < 10 ? `${seconds.toFixed(1)} s` : `${Math.round(seconds)} s`;
}

async function ask(name, parameters = {}) {
  const answer = await fetch(`/api/${name}?${new URLSearchParams(parameters)}`);
  const value = await answer.json().catch(() => ({ error: `${answer.status} ${answer.statusText}` }));
  if (!answer.ok) throw new Error(value.error);
  return value;
}

// What is wrong now, by what it is about; nothing is wrong when none is left.
const notices = new Map();

function notice(text, about = "page") {
  notices.set(about, text);
  const place = document.getElementById("notice"), all = [...notices.values()].filter(Boolean).join(" ");
  if (place.textContent !== all) place.textContent = all;
  place.hidden = !all;
}

const sessionAddress = (id) => "/session?" + new URLSearchParams({ id });

// theme: the system's, unless the reader has chosen

function remembered() {
  try { return localStorage.getItem("eventlog-theme"); } catch { return null; }
}

function setTheme(name) {
  document.documentElement.dataset.theme = name;
  try { localStorage.setItem("eventlog-theme", name); } catch { /* a file that is opened may have no storage */ }
}

function toggleTheme() {
  const dark = matchMedia("(prefers-color-scheme: dark)").matches;
  const now = document.documentElement.dataset.theme || (dark ? "dark" : "light");
  setTheme(now === "dark" ? "light" : "dark");
}

if (remembered()) document.documentElement.dataset.theme = remembered();

function topBar(here, served = true) {
  const link = (name, address) => el("a", { href: address, "aria-current": here === name ? "page" : null }, name);
  return el("header", { class: "top" },
    served ? el("a", { href: "/", class: "brand" }, "eventlog") : el("span", { class: "brand" }, "eventlog"),
    served ? el("nav", { "aria-label": "Pages" }, link("Sessions", "/"), link("Health", "/health")) : null,
    el("button", { type: "button", class: "quiet theme", onclick: toggleTheme, "aria-label": "Dark or light", title: "Dark or light" }, icon("theme")));
}

const typing = (event) => event.target.matches("input:not([type=range]), textarea, select") || event.ctrlKey || event.metaKey || event.altKey;
