// The side panel: all that is known about one box.

/** An HTML element; strings among the children become text. */
function h(name, attributes = {}, children = []) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) if (value !== null) element.setAttribute(key, value);
  element.append(...children.filter((child) => child !== null && child !== ""));
  return element;
}

function button(words, run, attributes = {}) {
  const element = h("button", { type: "button", ...attributes }, [words]);
  element.addEventListener("click", run);
  return element;
}

// Rounded before the unit is chosen: 999,600 bytes are 1 MB to three digits.
const toThreeDigits = (value) => Number(value.toPrecision(3));
const written = (value) => (value < 1000 ? value.toPrecision(3) : value.toLocaleString("en"));

function duration(seconds) {
  const units = [["µs", 1e6], ["ms", 1e3], ["s", 1]];
  const [unit, factor] = units.find(([, factor]) => toThreeDigits(seconds * factor) < 1000) ?? units[2];
  return `${written(toThreeDigits(seconds * factor))} ${unit}`;
}

function memory(nbytes) {
  if (nbytes < 1000) return `${nbytes} B`;
  const units = [["kB", 1e3], ["MB", 1e6], ["GB", 1e9]];
  const [unit, factor] = units.find(([, factor]) => toThreeDigits(nbytes / factor) < 1000) ?? units[2];
  return `${written(toThreeDigits(nbytes / factor))} ${unit}`;
}

class Panel {
  /** `jump` shows another node; `toggle` opens or closes a group. */
  constructor(element, { jump, toggle, close }) {
    Object.assign(this, { element, jump, toggle });
    this.body = h("div", { class: "panel-body" });
    this.heading = h("h2", {}, []);
    const cross = button("×", close, { class: "close", "aria-label": "Close the panel" });
    element.replaceChildren(h("header", {}, [this.heading, cross]), this.body);
  }

  hide() { this.element.hidden = true; }

  show(node, visible, graph) {
    this.heading.textContent = nameOf(node);
    const sections = node.group ? this.#group(node.group) : this.#box(node.box, graph);
    this.body.replaceChildren(...sections.filter(Boolean), this.#neighbours(node, visible));
    this.body.scrollTop = 0;
    this.element.hidden = false;
  }

  #box(box, graph) {
    const kind = h("span", { class: `tag ${box.kind}` }, [box.backward ? `${KINDS[box.kind]}, backward pass` : KINDS[box.kind]]);
    const facts = [["op", box.kind === "op" && box.name ? box.text : ""], ["path", box.path !== box.name ? box.path : ""],
      ["shape", box.shape], ["dtype", box.dtype], ["memory", box.nbytes ? memory(box.nbytes) : ""]];
    return [
      h("p", { class: "kind" }, [kind, box.bad ? h("strong", { class: "badly" }, [badWords({ box })]) : ""]),
      box.tainted ? h("p", { class: "note" }, ["Computed from something with nan or inf."]) : null,
      facts.some(([, value]) => value) ? h("dl", {}, facts.filter(([, value]) => value)
        .flatMap(([name, value]) => [h("dt", {}, [name]), h("dd", {}, [value])])) : null,
      section("Forward", box.formula ? [h("pre", { class: "formula" }, [box.formula])] : []),
      section("Backward", box.rules.map((rule) => h("pre", { class: "rule" }, [rule]))),
      section("Details", box.details.filter((line) => line !== box.formula).map((line) => h("p", {}, [line]))),
      summary("Value", box.value),
      summary("Gradient", box.grad),
      section("Saved for the backward pass", box.saved.map(([name, bytes]) => h("p", {}, [`${name}: ${memory(bytes)}`]))),
      section("Time", [
        box.seconds !== null ? h("p", {}, [`forward ${duration(box.seconds)}`]) : "",
        box.back_seconds !== null ? h("p", {}, [`backward ${duration(box.back_seconds)}`]) : "",
      ]),
      section("Source", [
        box.place ? h("p", { class: "place" }, [box.place]) : "",
        box.code ? h("pre", { class: "code" }, [box.code]) : "",
      ]),
      box.uses > 1 ? this.#uses(box, graph) : null,
    ];
  }

  #uses(box, graph) {
    const uses = graph.usesOf(box);
    const links = uses.slice(0, 60).map((other, i) => button(`${i + 1}`, () => this.jump(other.id), {
      "aria-current": other.id === box.id ? "true" : null, "aria-label": `use ${i + 1} of ${box.uses}`,
    }));
    return section(`Used by ${box.uses} ops`, [h("p", { class: "links" }, links)]);
  }

  #group(group) {
    const facts = [group.detail, insideWords(group), group.count > 1 ? `${group.count} in a row` : ""].filter(Boolean);
    return [
      h("p", { class: "kind" }, [h("span", { class: "tag folded" }, ["folded"])]),
      group.bad ? h("p", {}, [h("strong", { class: "badly" }, [badWords({ group })])]) : null,
      ...facts.map((words) => h("p", {}, [words])),
      section("Time", [
        group.seconds !== null ? h("p", {}, [`forward ${duration(group.seconds)}`]) : "",
        group.backSeconds !== null ? h("p", {}, [`backward ${duration(group.backSeconds)}`]) : "",
      ]),
      button("Open this block", () => this.toggle(group.id), { class: "wide" }),
    ];
  }

  #neighbours(node, { edges }) {
    const link = (other) => button(nameOf(other), () => this.jump(other.key));
    const lists = [
      ["From", edges.filter((edge) => edge.target === node).map((edge) => edge.source)],
      ["Into", edges.filter((edge) => edge.source === node).map((edge) => edge.target)],
    ];
    return h("nav", { "aria-label": "Neighbours" }, lists.filter(([, list]) => list.length)
      .map(([title, list]) => section(title, [h("p", { class: "links" }, [...new Set(list)].slice(0, 40).map(link))])));
  }
}

function section(title, children) {
  const shown = children.filter((child) => child !== "");
  return shown.length ? h("section", {}, [h("h3", {}, [title]), ...shown]) : null;
}

/** An array in words, as a picture and as a histogram. */
function summary(title, found) {
  if (!found) return null;
  const size = found.rms === null ? "" : h("span", { class: "rms" }, [`RMS ${found.rms}`]);
  const about = h("p", { class: "words" }, [found.text, size]);
  const bad = found.bad ? h("p", {}, [h("strong", { class: "badly" }, [`${found.bad} nan or inf`])]) : "";
  const drawn = h("div", { class: title === "Gradient" ? "charts gradient" : "charts" }, [
    found.image ? picture(found.image, title) : "", found.counts?.length ? histogram(found, title) : "",
  ]);
  return section(title, [about, bad, drawn]);
}
