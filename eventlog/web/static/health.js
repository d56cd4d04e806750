"use strict";
// How the backends stand, and how far behind each was over the last hour.

const REFRESH_MS = 2000;
const WIDTH = 640, HEIGHT = 120;

function nice(value) {
  const power = 10 ** Math.floor(Math.log10(Math.max(1, value)));
  return [1, 2, 5, 10].map((step) => step * power).find((step) => step >= value);
}

// The lag over time, as an area under a line.
function chart(name, lag, samples, now) {
  const points = samples.filter((sample) => sample.lags[name]).map((sample) => [sample.at, sample.lags[name][0]]);
  points.push([now, lag]);
  const from = Math.min(now - 60000, points[0][0]), top = nice(Math.max(4, ...points.map(([, events]) => events)));
  const x = (at) => ((at - from) / (now - from)) * WIDTH, y = (events) => HEIGHT - (events / top) * (HEIGHT - 8);
  const line = points.map(([at, events]) => `${x(at).toFixed(1)},${y(events).toFixed(1)}`).join(" ");
  const first = x(points[0][0]).toFixed(1);
  const svg = draw("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: "none", role: "img", "aria-label": `Events that ${name} lacked, over time` },
    draw("line", { class: "grid", x1: 0, x2: WIDTH, y1: y(top), y2: y(top) }), draw("line", { class: "grid", x1: 0, x2: WIDTH, y1: y(top / 2), y2: y(top / 2) }),
    draw("line", { class: "grid base", x1: 0, x2: WIDTH, y1: HEIGHT, y2: HEIGHT }));
  svg.append(draw("polygon", { class: "area", points: `${first},${HEIGHT} ${line} ${x(points.at(-1)[0]).toFixed(1)},${HEIGHT}` }), draw("polyline", { class: "lag", points: line }));
  return el("figure", { class: "chart" }, el("figcaption", {}, "Events it lacks"),
    el("div", { class: "plot" }, el("span", { class: "axis peak" }, number(top)), svg),
    el("div", { class: "axis times" }, el("span", {}, `${age((now - from) / 1000)} ago`), el("span", {}, "now")));
}

function fact(name, value) {
  return el("div", { class: "fact" }, el("dt", {}, name), el("dd", {}, value));
}

function backend(name, standing, samples, now) {
  const lag = standing.lag_events;
  return el("section", { class: "card", "aria-label": name },
    el("header", {}, el("h2", {}, name), el("span", { class: `badge ${standing.state}` }, standing.state), el("code", {}, standing.identity)),
    el("dl", { class: "numbers" },
      fact("Lacks", lag ? counted(lag, "event") : "nothing"), fact("Oldest", lag && standing.lag_bytes ? age(standing.oldest_age_s) : "–"),
      fact("Delivered", number(standing.delivered)), fact("Retries", number(standing.retries)), fact("Dead letters", number(standing.dead_letters))),
    standing.last_error ? el("p", { class: "error" }, ...shown(standing.last_error)) : null,
    chart(name, lag, samples, now));
}

function journal(status) {
  const size = status.journal_bytes < 1048576 ? `${number(Math.ceil(status.journal_bytes / 1024))} KiB` : `${(status.journal_bytes / 1048576).toFixed(1)} MiB`;
  return el("section", { class: "card", "aria-label": "journal" }, el("header", {}, el("h2", {}, "journal"), el("code", {}, ...shown(status.journal))),
    el("dl", { class: "numbers" }, fact("Size", size), fact("Segments", number(status.segments)), fact("Clock drift", `${status.clock_drift_s.toFixed(3)} s`),
      fact("Damaged frames", number(status.damaged_frames)), fact("Unreadable", number(status.quarantined)), fact("Other journals", number(status.other_journals))));
}

const cards = el("div", { class: "cards" });
document.body.append(topBar("Health"), el("main", { class: "page wide" }, el("h1", {}, "Health"), el("p", { id: "notice", role: "alert", hidden: true }), cards));

async function refresh() {
  try {
    const { status, samples, now } = await ask("health");
    cards.replaceChildren(...Object.entries(status.backends).map(([name, standing]) => backend(name, standing, samples, now)), journal(status));
    notice("");
    document.body.dataset.ready = "yes";
  } catch (error) {
    notice(`The health cannot be read now: ${error.message}`);
  }
  setTimeout(refresh, REFRESH_MS);
}

refresh();
