// An array as a small picture and as a histogram.

// Both maps are read by colour-blind people: cividis (Nuñez, Anderton and Renslow 2018) from dark blue to yellow, and
// blue to vermilion with white at zero.
const SEQUENTIAL = ["#00224e", "#123570", "#3b496c", "#575d6d", "#707173", "#8a8678", "#a59c74", "#c3b369", "#e1cc55", "#fee838"];
const DIVERGING = ["#023858", "#0072b2", "#8cc3e6", "#f7f7f7", "#f5b48a", "#d55e00", "#6b2f00"];

const channels = (colour) => [1, 3, 5].map((i) => parseInt(colour.slice(i, i + 2), 16));

/** The colour at `part`, between 0 and 1, of a map. */
function colourAt(map, part) {
  const place = Math.min(1, Math.max(0, part)) * (map.length - 1);
  const i = Math.min(map.length - 2, Math.floor(place));
  const [a, b] = [channels(map[i]), channels(map[i + 1])];
  return a.map((value, k) => Math.round(value + (b[k] - value) * (place - i)));
}

/** The colours of 256 steps from `low` to `high`; around zero if it lies between them. */
function scaleOf(low, high) {
  const most = Math.max(Math.abs(low), Math.abs(high));
  const diverging = low < 0 && high > 0;
  return Array.from({ length: 256 }, (_, i) => {
    const value = low + (i / 255) * (high - low);
    return diverging ? colourAt(DIVERGING, 0.5 + value / (2 * most)) : colourAt(SEQUENTIAL, i / 255);
  });
}

function canvas(rows, columns, paintCell) {
  const element = document.createElement("canvas");
  [element.width, element.height] = [columns, rows];
  const context = element.getContext("2d");
  const pixels = context.createImageData(columns, rows);
  for (let i = 0; i < rows * columns; i++) pixels.data.set([...paintCell(i), 255], 4 * i);
  context.putImageData(pixels, 0, 0);
  return element;
}

/** A matrix of bytes as a picture with its scale below. */
function picture(image, title) {
  const { low, high, lowText, highText } = image;
  const bytes = Uint8Array.from(atob(image.bytes), (character) => character.charCodeAt(0));
  const columns = image.width;
  const rows = bytes.length / columns;
  const known = low !== null && high !== null;
  const scale = scaleOf(known ? low : 0, known ? high : 1);
  const element = canvas(rows, columns, (i) => scale[bytes[i]]);
  element.className = "matrix";
  // Cells as large as fit, but not so long and thin that nothing can be seen.
  const side = Math.max(1, Math.min(22, Math.floor(272 / columns), Math.floor(200 / rows)));
  element.style.width = `${columns * side}px`;
  element.style.height = `${Math.max(rows * side, 10)}px`;
  element.setAttribute("role", "img");
  element.setAttribute("aria-label", `${title}: picture of ${rows} by ${columns} cells from ${lowText} to ${highText}`);
  const bar = canvas(1, 256, (i) => scale[i]);
  bar.className = "scale";
  bar.setAttribute("aria-hidden", "true");
  return h("figure", {}, [element, h("div", { class: "ends" }, [h("span", {}, [lowText]), bar, h("span", {}, [highText])])]);
}

const HISTOGRAM = { width: 272, height: 72, foot: 16 };

/** Counts in equal steps from low to high, as bars. */
function histogram({ counts, low, high, lowText, highText }, title) {
  const { width, height, foot } = HISTOGRAM;
  const most = Math.max(...counts, 1);
  const step = width / counts.length;
  const label = `${title}: histogram of ${counts.reduce((a, b) => a + b, 0)} entries from ${lowText} to ${highText}`;
  const svg = make("svg", { class: "histogram", viewBox: `0 0 ${width} ${height + foot}`, role: "img", "aria-label": label });
  counts.forEach((count, i) => {
    const tall = count ? Math.max(1.5, (count / most) * (height - 2)) : 0;
    const bar = make("rect", { x: round(i * step + 0.5), y: round(height - tall), width: round(Math.max(0.5, step - 1)), height: round(tall) });
    bar.append(make("title"));
    bar.firstChild.textContent = counted(count, "entry").replace("entrys", "entries");
    svg.append(bar);
  });
  svg.append(make("path", { class: "axis", d: `M0 ${height}H${width}` }));
  if (low !== null && high !== null && low < 0 && high > 0) {
    const zero = round((-low / (high - low)) * width);
    svg.append(make("path", { class: "zero", d: `M${zero} 0V${height}` }), note("0", zero, "middle"));
  }
  svg.append(note(lowText, 0, "start"), note(highText, width, "end"));
  return svg;

  function note(words, x, anchor) {
    return text({ text: words, font: "detail", look: "pale" }, x, height + 12, anchor);
  }
}
