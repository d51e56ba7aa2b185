// From the columns of one level to its geometry: heights, the runs of every arrow, and places for labels.

/** x (of the anchor) and y (of the upper edge) of every item, the runs and the label of every arrow, and the size. */
function geometry(grid, items, arrows, up) {
  const rows = rowsOf(grid, items, up);
  const sides = extent(grid.layers);
  const runs = grid.paths.map((path, k) => runsOf(path, rows, items, sides.right + 24 + 5 * k));
  const labels = placeLabels(grid, arrows, runs, rows);
  for (const run of runs.flat()) include(sides, run.x, run.x);
  for (const label of labels) if (label) include(sides, label.x, label.x + label.width);
  const x = grid.cells.map((cell) => cell.x - sides.left);
  const y = grid.cells.map((cell, i) => rows[cell.layer].middle - items[i].height / 2);
  for (const run of runs.flat()) run.x -= sides.left;
  for (const label of labels) if (label) label.x -= sides.left;
  return { x, y, runs, labels, width: sides.right - sides.left, height: rows.at(-1)?.bottom ?? 0 };
}

function include(sides, left, right) {
  sides.left = Math.min(sides.left, left);
  sides.right = Math.max(sides.right, right);
}

function extent(layers) {
  const sides = { left: Infinity, right: -Infinity };
  for (const cell of layers.flat()) include(sides, cell.x - cell.left, cell.x + cell.right);
  return sides.left <= sides.right ? sides : { left: 0, right: 0 };
}

function rowsOf({ layers, cells, layerOf, paths }, items, up) {
  const heights = layers.map(() => 0);
  items.forEach((item, i) => { heights[layerOf[i]] = Math.max(heights[layerOf[i]], item.height); });
  const labelled = layers.map(() => 0);
  for (const path of paths) labelled[path.cells[0].layer] = Math.max(labelled[path.cells[0].layer], path.labelHeight);
  const has = (port) => cells.some((cell, i) => items[i].port === port);
  const [top, bottom] = [has("top"), has("bottom")];
  // Room for the header of the group, which is at the end where the drawing begins.
  const [head, foot] = up ? [GAPS.foot, GAPS.head] : [GAPS.head, GAPS.foot];
  let y = 0;
  return layers.map((layer, i) => {
    const row = { top: y, middle: y + heights[i] / 2, bottom: y + heights[i] };
    const widest = layer.flatMap((cell) => cell.downs).filter((piece) => piece.near)
      .reduce((most, p) => Math.max(most, Math.abs(p.a.x + p.from - p.b.x - p.to)), 0);
    const slant = Math.min(GAPS.mostSlant, GAPS.slant * widest);
    const gap = labelled[i] ? labelled[i] + GAPS.label : GAPS.plain;
    const port = (top && i === 0 && head) || (bottom && i === layers.length - 2 && foot);
    y = row.bottom + Math.max(port || 0, port && !labelled[i] ? 0 : gap) + slant;
    return row;
  });
}

/** The vertical stretches of one arrow; between them it bends. */
function runsOf({ cells, pieces }, rows, items, asideX) {
  const [start, end] = [cells[0], cells.at(-1)];
  const [leaves, enters] = [pieces[0], pieces.at(-1)];
  const of = (cell) => rows[cell.layer];
  const runs = [{
    x: start.x + leaves.from, top: of(start).middle + ownHeight(items[start.item]) / 2, bottom: of(start).bottom,
  }];
  for (const cell of cells.slice(1, -1)) runs.push({ x: cell.x, top: of(cell).top, bottom: of(cell).bottom });
  if (!leaves.near) {
    runs.push({ x: asideX, top: rows[start.layer + 1].top, bottom: rows[end.layer - 1].bottom });
  }
  runs.push({ x: end.x + enters.to, top: of(end).top, bottom: of(end).middle - ownHeight(items[end.item]) / 2 });
  return straightened(runs, enters.bFree);
}

/** Without the box beside it that belongs to the item: that is where arrows end. */
const ownHeight = (item) => item.own ?? item.height;

/** A bend too small to be meant becomes a straight line; the last run moves only if its end is free to. */
function straightened(runs, free) {
  for (let i = 1; i < runs.length - (free ? 0 : 1); i++) {
    if (Math.abs(runs[i].x - runs[i - 1].x) < 4) runs[i].x = runs[i - 1].x;
  }
  return runs;
}

// -- labels ---------------------------------------------------------------------------------------------------------

/** Where the curve between two runs is at height y: the middle control points stand at half height. */
function curveX({ from, to }, y) {
  if (Math.abs(from.x - to.x) < 1) return from.x;
  const goal = (y - from.bottom) / (to.top - from.bottom || 1);
  let [low, high] = [0, 1];
  for (let i = 0; i < 18; i++) {
    const t = (low + high) / 2;
    const height = 1.5 * t * (1 - t) * (1 - t) + 1.5 * t * t * (1 - t) + t * t * t;
    if (height < goal) low = t; else high = t;
  }
  const t = (low + high) / 2;
  return from.x + (to.x - from.x) * (3 * t * t - 2 * t * t * t);
}

/** A place beside its curve for every label, in the gap below the item the arrow comes from. */
function placeLabels({ paths }, arrows, runs, rows) {
  const gaps = rows.map(() => []);
  runs.forEach((list, k) => {
    for (let i = 1; i < list.length; i++) {
      // The curve ends where the tip of the arrow begins.
      const end = i === list.length - 1 ? Math.min(list[i].top, list[i].bottom - HEAD.length) : list[i].top;
      gaps[paths[k].cells[i - 1].layer].push({ from: list[i - 1], to: { x: list[i].x, top: end }, arrow: k });
    }
  });
  const labels = arrows.map(() => null);
  for (const curves of gaps) {
    const taken = [];
    for (const curve of curves) {
      const { label } = arrows[curve.arrow];
      if (!label || runs[curve.arrow][0] !== curve.from) continue;
      labels[curve.arrow] = bestPlace(curve, label, curves.length <= 40 ? curves : [], taken);
      taken.push(labels[curve.arrow]);
    }
  }
  return labels;
}

function bestPlace(curve, label, curves, taken) {
  const [low, high] = [curve.from.bottom + label.height / 2 + 3, curve.to.top - label.height / 2 - 2];
  let best = null;
  for (const t of [0.5, 1, 0, 0.75, 0.25]) {
    const y = low + t * (high - low);
    for (const side of ["right", "left"]) {
      const xs = [-0.5, 0, 0.5].map((part) => curveX(curve, y + part * label.height));
      const x = side === "right" ? Math.max(...xs) + 6 : Math.min(...xs) - 6 - label.width;
      const place = { ...label, x, y: y - label.height / 2, side };
      const cost = 10 * taken.filter((other) => overlap(place, other)).length
        + 3 * curves.filter((other) => other !== curve && crosses(other, place)).length
        + (side === "left" ? 1 : 0) + Math.abs(t - 0.5);
      if (best === null || cost < best.cost) best = { ...place, cost };
    }
  }
  return best;
}

function overlap(a, b) {
  return a.x < b.x + b.width && b.x < a.x + a.width && a.y < b.y + b.height && b.y < a.y + a.height;
}

function crosses(curve, place) {
  return [0, 0.5, 1].some((part) => {
    const x = curveX(curve, place.y + part * place.height);
    return x > place.x - 2 && x < place.x + place.width + 2;
  });
}
