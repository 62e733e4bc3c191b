// The series and its events with uPlot: batch and live shaded apart, what is still open hatched.
const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

/** Times of day on 24 hours, and the day wherever it changes. */
function timeTexts(zone) {
  const day = new Intl.DateTimeFormat("en", { day: "numeric", month: "short", timeZone: zone });
  const clock = (seconds) => new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit", ...(seconds ? { second: "2-digit" } : {}), timeZone: zone });
  return (_, ticks, __, ___, apart) => {
    let before = "";
    return ticks.map((tick) => {
      const at = new Date(tick * 1000);
      const today = day.format(at);
      if (apart >= 86400) return today;
      const text = clock(apart < 60).format(at) + (today === before ? "" : `\n${today}`);
      before = today;
      return text;
    });
  };
}

function axes(zone) {
  const common = {
    stroke: colour("--muted"),
    grid: { stroke: colour("--line"), width: 1 },
    ticks: { show: false },
    font: "12px system-ui, sans-serif",
  };
  return [
    { ...common, grid: { show: false }, space: 80, values: timeTexts(zone) },
    { ...common, size: 64, space: 36, values: (_, ticks) => ticks.map((tick) => tick.toLocaleString("en", { notation: Math.abs(tick) >= 1e5 ? "compact" : "standard", maximumFractionDigits: 2 })) },
  ];
}

const part = (point) => (point.events > point.batch_events ? "live" : "batch");
/** Bands behind the line: one for each stretch of steps of one kind. */
function bands(points, times, step, isOpen) {
  return (u) => {
    const { ctx, bbox } = u;
    ctx.save();
    ctx.beginPath();
    ctx.rect(bbox.left, bbox.top, bbox.width, bbox.height);
    ctx.clip();
    let begun = 0;
    for (let at = 1; at <= points.length; at++) {
      const same = at < points.length && part(points[at]) === part(points[begun]) && isOpen(points[at]) === isOpen(points[begun]);
      if (same) continue;
      const left = u.valToPos(times[begun], "x", true);
      const right = u.valToPos(times[at - 1] + step, "x", true);
      if (part(points[begun]) === "live") {
        ctx.fillStyle = colour("--live-band");
        ctx.fillRect(left, bbox.top, right - left, bbox.height);
      }
      if (isOpen(points[begun])) hatch(ctx, left, right, bbox);
      begun = at;
    }
    ctx.restore();
  };
}

function hatch(ctx, left, right, { top, height }) {
  const gap = 9 * devicePixelRatio;
  ctx.save();
  ctx.beginPath();
  ctx.rect(left, top, right - left, height);
  ctx.clip();
  ctx.strokeStyle = colour("--hatch");
  ctx.lineWidth = devicePixelRatio;
  ctx.beginPath();
  for (let x = left - height - (left % gap); x < right; x += gap) {
    ctx.moveTo(x, top + height);
    ctx.lineTo(x + height, top);
  }
  ctx.stroke();
  ctx.restore();
}

/** Events a step as bars, batch below, live on top of it. */
function stacked(points, times, step) {
  return (u) => {
    const { ctx, bbox } = u;
    ctx.save();
    ctx.beginPath();
    ctx.rect(bbox.left, bbox.top, bbox.width, bbox.height);
    ctx.clip();
    const floor = u.valToPos(0, "y", true);
    points.forEach((point, at) => {
      if (!point.events) return;
      const left = u.valToPos(times[at], "x", true);
      const width = Math.max(u.valToPos(times[at] + step, "x", true) - left - devicePixelRatio, devicePixelRatio);
      const middle = u.valToPos(point.batch_events, "y", true);
      const top = u.valToPos(point.events, "y", true);
      ctx.fillStyle = colour("--batch");
      ctx.fillRect(left, middle, width, floor - middle);
      ctx.fillStyle = colour("--live");
      ctx.fillRect(left, top, width, middle - top);
    });
    ctx.restore();
  };
}

/** What is usual as a band with its middle, each step as wide as it is; and alerts as bars at the top. */
function over(overlay, times, step) {
  return (u) => {
    if (!overlay) return;
    const { ctx, bbox } = u;
    ctx.save();
    ctx.beginPath();
    ctx.rect(bbox.left, bbox.top, bbox.width, bbox.height);
    ctx.clip();
    for (const [at, [low, middle, high]] of (overlay.band ?? []).entries()) {
      if (middle === null || times[at] === undefined) continue;
      const left = u.valToPos(times[at], "x", true);
      const width = u.valToPos(times[at] + step, "x", true) - left;
      const [top, centre, bottom] = [high, middle, low].map((value) => u.valToPos(value, "y", true));
      ctx.fillStyle = colour("--usual");
      ctx.fillRect(left, top, width, Math.max(bottom - top, devicePixelRatio));
      ctx.fillStyle = colour("--muted");
      ctx.fillRect(left, centre, width, devicePixelRatio);
    }
    for (const { since, until, state, status } of overlay.alerts) {
      const [left, right] = [since, until].map((text) => u.valToPos(Date.parse(text) / 1000, "x", true));
      const gone = state === "WITHDRAWN" || state === "SUPERSEDED" || state === "MERGED";
      ctx.globalAlpha = gone ? 0.35 : 1;
      ctx.fillStyle = colour(status === "firing" ? "--bad" : "--warn");
      ctx.fillRect(left, bbox.top, Math.max(right - left, 3 * devicePixelRatio), 5 * devicePixelRatio);
      ctx.globalAlpha = gone ? 0.03 : 0.08;
      ctx.fillRect(left, bbox.top, Math.max(right - left, 3 * devicePixelRatio), bbox.height);
    }
    ctx.restore();
  };
}

export class Charts {
  constructor(view, chosen, at) {
    this.overlay = view.overlay;
    this.points = view.series.points;
    this.result = view.result;
    this.chosen = chosen;
    this.zone = view.asked.zone || "UTC";
    this.times = this.points.map((point) => Date.parse(point.start) / 1000);
    const last = this.points.at(-1);
    this.step = last ? (Date.parse(last.end) - Date.parse(last.start)) / 1000 : 60;
    this.at = at;
    const settled = view.settled ? Date.parse(view.settled) : -Infinity;
    this.isOpen = (point) => Date.parse(point.end) > settled;
    this.draw();
    document.addEventListener("themechange", () => this.draw());
    new ResizeObserver(() => this.resize()).observe(document.getElementById("chart"));
  }

  values() {
    return this.points.map((point) => {
      const value = point.results[this.result];
      const number = typeof value === "string" ? Number(value) : value;
      return Number.isFinite(number) ? number : null;
    });
  }

  /** So that what is usual fits in, too. */
  reach(low, high) {
    const usual = (this.overlay?.band ?? []).flat().filter((value) => value !== null);
    return [Math.min(0, low ?? 0, ...usual), (Math.max(high ?? 0, ...usual) || 1) * 1.08];
  }

  draw() {
    this.upper?.destroy();
    this.lower?.destroy();
    const [chart, events] = ["chart", "events"].map((id) => document.getElementById(id));
    const sync = { key: "series" };
    const common = {
      width: chart.clientWidth,
      legend: { show: false },
      tzDate: (seconds) => uPlot.tzDate(new Date(seconds * 1000), this.zone),
      scales: { x: { range: (_, from, to) => [from, Math.max(to + this.step, from + this.step)] } },
    };
    this.upper = new uPlot({
      ...common,
      height: 300,
      padding: [12, 22, 0, 0],
      cursor: { sync, points: { size: 9 }, drag: { x: true, y: false, setScale: false } },
      axes: axes(this.zone),
      scales: { ...common.scales, y: { range: (_, low, high) => this.reach(low, high) } },
      series: [{}, { stroke: colour("--ink"), width: 1.6, fill: colour("--fill"), points: { show: this.points.length < 60, size: 5 }, spanGaps: false }],
      hooks: {
        drawClear: [bands(this.points, this.times, this.step, this.isOpen), over(this.overlay, this.times, this.step)],
        setCursor: [(u) => this.tip(u)],
        setSelect: [(u) => this.zoom(u)],
        draw: [(u) => this.mark(u)],
      },
    }, [this.times, this.values()], chart);
    this.lower = new uPlot({
      ...common,
      height: 72,
      cursor: { sync, y: false, points: { show: false }, drag: { x: false, y: false } },
      axes: [{ show: false }, { ...axes(this.zone)[1], space: 24, grid: { show: false } }],
      padding: [8, 22, 6, 0],
      scales: { ...common.scales, y: { range: (_, low, high) => [0, (high || 1) * 1.1] } },
      series: [{}, { paths: () => null, points: { show: false } }],
      hooks: { draw: [stacked(this.points, this.times, this.step)] },
    }, [this.times, this.points.map((point) => point.events)], events);
    this.upper.over.addEventListener("click", () => this.choose(this.upper.cursor.idx));
    this.lower.over.addEventListener("click", () => this.choose(this.lower.cursor.idx));
    this.label = document.createElement("div");
    this.label.className = "tip";
    this.upper.over.append(this.label);
  }

  /** New numbers of the same steps, or of more. */
  update({ series, settled, overlay }) {
    this.overlay = overlay;
    this.points = series.points;
    this.times = this.points.map((point) => Date.parse(point.start) / 1000);
    const until = settled ? Date.parse(settled) : -Infinity;
    this.isOpen = (point) => Date.parse(point.end) > until;
    this.draw();
  }

  resize() {
    const width = document.getElementById("chart").clientWidth;
    if (width && width !== this.upper.width) {
      this.upper.setSize({ width, height: 300 });
      this.lower.setSize({ width, height: 72 });
    }
  }

  tip(u) {
    const { idx, left } = u.cursor;
    const point = idx == null ? null : this.points[idx];
    this.label.hidden = !point || left < 0;
    if (this.label.hidden) return;
    const value = point.results[this.result];
    this.label.replaceChildren();
    const strong = document.createElement("b");
    strong.textContent = value == null ? "–" : Number(value).toLocaleString("en", { maximumFractionDigits: 2 });
    const live = point.events - point.batch_events;
    this.label.append(strong, `${point.start.replace("T", " ").replace(/(:\d\d)(\.\d+)?Z$/, "$1")}`,
      `${point.batch_events.toLocaleString("en")} batch + ${live.toLocaleString("en")} live`, point.status);
    for (const text of [...this.label.childNodes].slice(1)) {
      const line = document.createElement("span");
      text.replaceWith(line);
      line.append(text);
    }
    const right = left > u.over.clientWidth / 2;
    this.label.style.left = right ? "" : `${left + 14}px`;
    this.label.style.right = right ? `${u.over.clientWidth - left + 14}px` : "";
  }

  zoom(u) {
    if (u.select.width < 8) return;
    const edge = (pixels) => u.posToVal(pixels, "x");
    const from = Math.floor(edge(u.select.left) / this.step) * this.step;
    const to = Math.ceil(edge(u.select.left + u.select.width) / this.step) * this.step;
    const url = new URL(location.href);
    const iso = (seconds) => new Date(seconds * 1000).toISOString().replace(".000", "");
    url.searchParams.set("from", iso(from));
    url.searchParams.set("to", iso(to));
    url.searchParams.delete("step");
    location.assign(url);
  }

  mark(u) {
    if (this.at == null) return;
    const x = u.valToPos(this.times[this.at], "x", true);
    u.ctx.save();
    u.ctx.strokeStyle = colour("--ink");
    u.ctx.setLineDash([4, 4]);
    u.ctx.beginPath();
    u.ctx.moveTo(x, u.bbox.top);
    u.ctx.lineTo(x, u.bbox.top + u.bbox.height);
    u.ctx.stroke();
    u.ctx.restore();
  }

  choose(at) {
    if (at == null || !this.points[at]) return;
    this.at = at;
    this.upper.redraw();
    this.chosen(this.points[at]);
  }

  /** With the keyboard: left and right move over the steps, Enter takes one. */
  move(by) {
    const at = Math.min(Math.max((this.upper.cursor.idx ?? this.points.length - 1) + by, 0), this.points.length - 1);
    this.upper.setCursor({ left: this.upper.valToPos(this.times[at], "x"), top: 20 });
  }
}
