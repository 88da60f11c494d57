"use strict";
// The sky map as a globe seen from inside, east to the left: drag, arrow keys, + and -, or buttons.
(() => {
  const sky = JSON.parse(document.getElementById("sky-data").textContent);
  const canvas = document.getElementById("sky");
  const told = document.getElementById("sky-told");
  const pen = canvas.getContext("2d");
  const RAD = Math.PI / 180;
  // one hue, light to dark, as in the figures; neutrinos in vermilion
  const BLUES = ["#174a86", "#2f76b3", "#5a9bcb", "#92bfdf", "#c3d9ec", "#e4eef7"];
  const INK = "#111111", NEUTRINO = "#b34700", ASIDE = "#5a5a5a", GRID = "#b9c0c7";
  const FONT = "13px system-ui, sans-serif";
  const start = { ra: sky.peak[0], dec: sky.peak[1], zoom: Math.max(1, Math.min(35 / sky.radius, 30)) };
  const view = { ...start };
  let chosen = -1;

  const vector = (ra, dec) => {
    const c = Math.cos(dec * RAD);
    return [c * Math.cos(ra * RAD), c * Math.sin(ra * RAD), Math.sin(dec * RAD)];
  };
  const bytes = Uint8Array.from(atob(sky.corners), (letter) => letter.charCodeAt(0));
  const codes = new DataView(bytes.buffer);
  const corners = [];
  for (let k = 0; k < bytes.length; k += 4) {
    const ra = codes.getUint16(k, true) / 65535 * 360;
    corners.push(vector(ra, codes.getUint16(k + 2, true) / 65535 * 180 - 90));
  }

  let size = 0, radius = 0, basis = [];
  const turn = (v) => basis.map((axis) => axis[0] * v[0] + axis[1] * v[1] + axis[2] * v[2]);
  // place on the canvas; what is behind is put on the rim
  const place = ([x, y, z]) => {
    const s = z < 0 ? 1 / Math.hypot(x, y) : 1;
    return [size / 2 - radius * x * s, size / 2 - radius * y * s];
  };
  const line = (points, colour, width, dash = []) => {
    pen.beginPath();
    let before = false;
    for (const point of points) {
      const v = turn(point), front = v[2] > 0;
      if (front) pen[before ? "lineTo" : "moveTo"](...place(v));
      before = front;
    }
    pen.setLineDash(dash);
    pen.strokeStyle = colour;
    pen.lineWidth = width;
    pen.stroke();
    pen.setLineDash([]);
  };
  const range = (from, to, step) =>
    Array.from({ length: Math.floor((to - from) / step) + 1 }, (_, k) => from + k * step);
  const circle = (ra, dec, r) => {
    const n = vector(ra, dec + 90), e = vector(ra + 90, 0), c = vector(ra, dec);
    const sin = Math.sin(r * RAD), cos = Math.cos(r * RAD);
    return range(0, 360, 3).map((a) => c.map((x, k) =>
      cos * x + sin * (Math.cos(a * RAD) * n[k] + Math.sin(a * RAD) * e[k])));
  };
  const label = (text, x, y, colour, weight = "") => {
    pen.font = `${weight} ${FONT}`;
    pen.lineWidth = 3;
    pen.strokeStyle = "#fff";
    pen.strokeText(text, x, y);
    pen.fillStyle = colour;
    pen.fillText(text, x, y);
  };

  const drawTiles = () => {
    let first = 4 * sky.counts.reduce((sum, n) => sum + n, 0);
    for (let level = sky.counts.length - 1; level >= 0; level--) {
      const last = first;
      first -= 4 * sky.counts[level];
      pen.beginPath();
      for (let k = first; k < last; k += 4) {
        const quad = corners.slice(k, k + 4).map(turn);
        if (quad.every((v) => v[2] <= 0)) continue;
        quad.map(place).forEach(([x, y], c) => pen[c ? "lineTo" : "moveTo"](x, y));
        pen.closePath();
      }
      pen.fillStyle = pen.strokeStyle = BLUES[level];
      pen.lineWidth = 0.7; // closes the seams
      pen.fill();
      pen.stroke();
    }
  };
  const drawGrid = () => {
    const step = view.zoom > 8 ? 5 : view.zoom > 2.5 ? 10 : 30;
    for (const ra of range(0, 359, step)) line(range(-90, 90, 2).map((d) => vector(ra, d)), GRID, 0.7);
    for (const dec of range(-90 + step, 90 - step, step)) {
      line(range(0, 360, 2).map((a) => vector(a, dec)), GRID, dec ? 0.7 : 1.4);
    }
    // halfway between two lines, and off the centre, where the marks are
    const off = 1.7 * step * RAD < Math.asin(1 / view.zoom) ? 1.5 : 0.5;
    const nameLine = (text, direction) => {
      const v = turn(direction), [x, y] = place(v), half = pen.measureText(text).width / 2 + 3;
      if (v[2] < 0.2 || x < 0 || x > size || y < 13 || y > size - 4) return;
      label(text, Math.max(half, Math.min(size - half, x)), y, ASIDE); // whole, at the edge too
    };
    pen.font = FONT;
    pen.textAlign = "center";
    for (const ra of range(0, 359, step)) {
      const dec = (Math.round(view.dec / step) - off) * step;
      if (Math.abs(dec) < 80) nameLine(`RA ${ra}°`, vector(ra, dec));
    }
    for (const dec of range(-90 + step, 90 - step, step)) {
      const text = `${dec > 0 ? "+" : dec < 0 ? "−" : ""}${Math.abs(dec)}°`;
      nameLine(text, vector((Math.round(view.ra / step) + off) * step, dec));
    }
    pen.textAlign = "left";
  };
  const drawMarks = () => {
    sky.neutrinos.forEach((nu, k) => {
      const v = turn(vector(nu.ra, nu.dec)), colour = nu.aside ? ASIDE : NEUTRINO;
      const width = k === chosen ? 3.5 : 2, rim = circle(nu.ra, nu.dec, nu.r90);
      line(rim, "#fff", width + 2.5); // vermilion alone is lost on the darkest blue
      line(rim, colour, width, nu.aside ? [4, 3] : []);
      if (v[2] <= 0) return;
      const [x, y] = place(v);
      pen.beginPath();
      if (nu.aside) pen.rect(x - 3.5, y - 3.5, 7, 7); else pen.arc(x, y, 4, 0, 7);
      pen.fillStyle = nu.aside ? "#fff" : colour;
      pen.strokeStyle = nu.aside ? colour : "#fff";
      pen.lineWidth = 1.5;
      pen.fill();
      pen.stroke();
      label(String(nu.number), x + 7, y - 6, colour, "bold");
    });
    if (!sky.best) return;
    const v = turn(vector(...sky.best)), [x, y] = place(v);
    if (v[2] <= 0) return;
    for (const [colour, width, from, arm] of [["#fff", 5, 6.5, 8.5], [INK, 2, 8, 5.5]]) {
      pen.strokeStyle = colour;
      pen.lineWidth = width;
      // open in the middle, where a neutrino may be
      pen.stroke(new Path2D([[1, 0], [-1, 0], [0, 1], [0, -1]].map(([a, b]) =>
        `M${x + a * from} ${y + b * from}l${a * arm} ${b * arm}`).join("")));
    }
  };
  const draw = () => {
    const ratio = window.devicePixelRatio || 1;
    size = canvas.clientWidth;
    if (!size) return; // on paper the globe is left out
    if (canvas.width !== Math.round(size * ratio)) canvas.width = canvas.height = Math.round(size * ratio);
    pen.setTransform(ratio, 0, 0, ratio, 0, 0);
    radius = (size / 2 - 6) * view.zoom;
    basis = [vector(view.ra + 90, 0), vector(view.ra, view.dec + 90), vector(view.ra, view.dec)];
    pen.clearRect(0, 0, size, size);
    pen.beginPath();
    pen.arc(size / 2, size / 2, radius, 0, 7);
    pen.fillStyle = "#fff";
    pen.fill();
    drawTiles();
    drawGrid();
    drawMarks();
    pen.beginPath();
    pen.arc(size / 2, size / 2, radius, 0, 7);
    pen.strokeStyle = ASIDE;
    pen.lineWidth = 1.2;
    pen.stroke();
    const width = view.zoom > 1 ? 2 * Math.asin(1 / view.zoom) / RAD : 180;
    const name = chosen >= 0 ? `Neutrino ${sky.neutrinos[chosen].number}: ` : "";
    told.textContent = `${name}centre RA ${view.ra.toFixed(1)}°, Dec ${view.dec.toFixed(1)}°; ` +
      `${width.toFixed(0)}° wide`;
  };
  const look = (change) => {
    Object.assign(view, change);
    view.ra = ((view.ra % 360) + 360) % 360;
    view.dec = Math.max(-90, Math.min(90, view.dec));
    view.zoom = Math.max(1, Math.min(60, view.zoom));
    draw();
  };
  const next = (step) => {
    const n = sky.neutrinos.length;
    if (!n) return;
    chosen = chosen < 0 ? (step > 0 ? 0 : n - 1) : (chosen + step + n) % n;
    const { ra, dec } = sky.neutrinos[chosen];
    look({ ra, dec });
  };
  const move = (x, y) => {
    chosen = -1;
    look({ ra: view.ra + 12 * x / view.zoom / Math.max(Math.cos(view.dec * RAD), 0.2), dec: view.dec + 12 * y / view.zoom });
  };
  const actions = {
    ArrowLeft: () => move(1, 0), ArrowRight: () => move(-1, 0),
    ArrowUp: () => move(0, 1), ArrowDown: () => move(0, -1),
    "+": () => look({ zoom: view.zoom * 1.3 }), "-": () => look({ zoom: view.zoom / 1.3 }),
    n: () => next(1), p: () => next(-1), 0: () => { chosen = -1; look(start); },
  };
  canvas.addEventListener("keydown", (event) => {
    const action = actions[event.key === "=" ? "+" : event.key];
    if (!action || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    action();
  });
  for (const button of document.querySelectorAll("[data-sky]")) {
    button.addEventListener("click", actions[button.dataset.sky]);
  }
  let held = null;
  canvas.addEventListener("pointerdown", (event) => {
    held = [event.clientX, event.clientY];
    canvas.setPointerCapture(event.pointerId);
  });
  canvas.addEventListener("pointermove", (event) => {
    if (!held) return;
    const x = event.clientX - held[0], y = event.clientY - held[1], k = 1 / radius / RAD;
    held = [event.clientX, event.clientY];
    chosen = -1;
    look({ ra: view.ra + x * k / Math.max(Math.cos(view.dec * RAD), 0.2), dec: view.dec + y * k });
  });
  for (const end of ["pointerup", "pointercancel"]) canvas.addEventListener(end, () => { held = null; });
  canvas.addEventListener("wheel", (event) => {
    if (document.activeElement !== canvas) return; // else the page scrolls
    event.preventDefault();
    look({ zoom: view.zoom * Math.exp(-event.deltaY / 500) });
  }, { passive: false });
  document.getElementById("sky-box").hidden = false;
  const figure = document.getElementById("sky-figure"); // on paper it stands for the globe
  if (figure) {
    let open = figure.open = false;
    addEventListener("beforeprint", () => { open = figure.open; figure.open = true; });
    addEventListener("afterprint", () => { figure.open = open; });
  }
  new ResizeObserver(draw).observe(canvas); // draws at once, too
})();
