// The one-line legend: what occurs in the picture, and nothing else.

function fillLegend(element, visible, graph) {
  const { nodes, edges } = visible;
  const kinds = new Set(nodes.map((node) => node.kind));
  const boxes = Object.keys(KINDS).filter((kind) => kinds.has(kind)).map((kind) => h("span", { class: `key ${kind}` }, [KINDS[kind]]));
  const all = [...graph.boxes.values()];
  const shown = nodes.filter((node) => node.box).map((node) => node.box);
  const notes = [
    [edges.some((edge) => edge.shape), "", "arrow: shape"],
    [edges.some((edge) => edge.rms !== null), "gradient", "↑ 0.03 gradient coming back (RMS)"],
    [edges.some((edge) => edge.total && edge.rms !== null), "gradient", "Σ sum over all uses"],
    [shown.some((box) => box.rules.length), "gradient", "dx = … backward rule, g the gradient of the result"],
    [edges.some((edge) => edge.count > 1), "", "× 3 arrows together"],
    [edges.some((edge) => edge.role), "", "a before a shape: the input's letter in the formulas"],
    [edges.some((edge) => edge.part), "", "[0]: which result"],
    [edges.some((edge) => edge.cross), "", "dashed: used by the backward pass"],
    [shown.some((box) => `${box.value?.text}${box.grad?.text}`.includes("±")), "", "mean ± standard deviation"],
    [nodes.some((node) => node.bad), "badly", "thick red border: the first known nan or inf"],
    [nodes.some((node) => node.tainted), "", "dashed border: computed from it"],
    [all.some((box) => box.uses > 1), "", "what several ops use has a box for each"],
  ];
  const words = notes.filter(([occurs]) => occurs).map(([, look, note]) => h("span", { class: look || null }, [note]));
  element.replaceChildren(...boxes, ...words);
}
