// Values under the pointer: a line at the nearest step, and what each series is there.
const SVG = "http://www.w3.org/2000/svg";

const nearest = (points, step) => {
  let low = 0;
  let high = points.length - 1;
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if (points[middle][0] < step) low = middle;
    else high = middle;
  }
  return Math.abs(points[low][0] - step) <= Math.abs(points[high][0] - step) ? points[low] : points[high];
};

const follow = (figure, curve) => {
  const svg = figure.querySelector("svg");
  const series = curve.series.filter((one) => one.points.length);
  let line = null;
  let tip = null;
  const hide = () => {
    line?.remove();
    tip?.remove();
    line = tip = null;
  };
  const move = (event) => {
    const box = svg.getBoundingClientRect();
    const view = svg.viewBox.baseVal;
    const wanted = (((event.clientX - box.left) / box.width) * view.width - curve.x[1]) / curve.x[0];
    const all = series.map((one) => nearest(one.points, wanted)[0]);
    const step = all.reduce((best, at) => (Math.abs(at - wanted) < Math.abs(best - wanted) ? at : best));
    if (!line) {
      line = document.createElementNS(SVG, "path");
      line.setAttribute("class", "cursor");
      svg.append(line);
      tip = el("div", "tip");
      figure.append(tip);
    }
    const x = curve.x[0] * step + curve.x[1];
    line.setAttribute("d", `M${x.toFixed(1)} 5V${(view.height * 0.765).toFixed(1)}`);
    const rows = series
      .map((one) => [one, one.points.find((point) => point[0] === step)])
      .filter(([, point]) => point)
      .sort((a, b) => b[1][1] - a[1][1])
      .map(([one, point]) =>
        curve.series.length > 1
          ? el("div", "", el("i", `swatch ${one.look}`), el("span", "", one.label), el("b", "", compact(point[1])))
          : el("div", "", "value", el("b", "", compact(point[1]))),
      );
    tip.replaceChildren(el("div", "", "step", el("b", "", compact(step))), ...rows);
    const right = event.clientX - box.left > box.width / 2;
    tip.style.left = right ? "14px" : "auto";
    tip.style.right = right ? "auto" : "14px";
  };
  svg.addEventListener("pointermove", move);
  svg.addEventListener("pointerdown", move);
  svg.addEventListener("pointerleave", hide);
};

for (const figure of document.querySelectorAll("figure[data-curve]")) {
  const [phase, curve] = figure.dataset.curve.split(" ").map(Number);
  follow(figure, data.curves[phase][curve]);
}
