(function () {
  "use strict";
  var root = document.documentElement;
  var colourKeys = /color$/i;

  function css(name) { return getComputedStyle(root).getPropertyValue("--" + name).trim(); }

  function paint(value, isColour) {
    if (typeof value === "string") { return isColour && value.charAt(0) === "@" ? css(value.slice(1)) : value; }
    if (Array.isArray(value)) { return value.map(function (part) { return paint(part, isColour); }); }
    if (value !== null && typeof value === "object") {
      var copy = {};
      Object.keys(value).forEach(function (key) { copy[key] = paint(value[key], colourKeys.test(key)); });
      return copy;
    }
    return value;
  }

  function houseLayout(layout, height) {
    var small = window.innerWidth < 640;
    var base = {
      height: height, margin: { l: 8, r: small ? 12 : 24, t: 8, b: 8 },
      paper_bgcolor: "@clear", plot_bgcolor: "@clear",
      font: { family: getComputedStyle(document.body).fontFamily, size: small ? 12 : 13, color: "@ink" },
      hoverlabel: { bgcolor: "@paper", bordercolor: "@line", font: { color: "@ink" } }
    };
    Object.keys(layout).forEach(function (key) { base[key] = layout[key]; });
    return paint(base, false);
  }

  var charts = JSON.parse(document.getElementById("chart-data").textContent);

  function draw(id) {
    var place = document.getElementById("plot-" + id);
    var chart = charts[id];
    if (!place || !chart || !window.Plotly) { return; }
    var view = place.dataset.view || Object.keys(chart.views)[0];
    var layout = houseLayout(chart.layout, Number(place.dataset.height));
    window.Plotly.react(place, paint(chart.views[view], false), layout, { displayModeBar: false, responsive: true });
  }
  function drawAll() { Object.keys(charts).forEach(draw); }

  function pressOne(buttons, chosen) {
    buttons.forEach(function (button) { button.setAttribute("aria-pressed", String(button === chosen)); });
  }
  function all(selector, within) { return Array.prototype.slice.call((within || document).querySelectorAll(selector)); }

  var themeButton = document.getElementById("theme");
  function darkNow() {
    var chosen = root.dataset.theme;
    return chosen ? chosen === "dark" : window.matchMedia("(prefers-color-scheme: dark)").matches;
  }
  function nameTheme() { themeButton.textContent = darkNow() ? "Light" : "Dark"; }
  themeButton.addEventListener("click", function () {
    root.dataset.theme = darkNow() ? "light" : "dark";
    nameTheme();
    drawAll();
  });
  window.matchMedia("(prefers-color-scheme: dark)").addEventListener("change", function () { nameTheme(); drawAll(); });

  all("[data-views]").forEach(function (group) {
    var buttons = all("button", group);
    buttons.forEach(function (button) {
      button.addEventListener("click", function () {
        document.getElementById("plot-" + group.dataset.views).dataset.view = button.dataset.view;
        pressOne(buttons, button);
        draw(group.dataset.views);
      });
    });
  });

  all("[data-filter]").forEach(function (group) {
    var target = document.getElementById(group.dataset.filter);
    var buttons = all("button", group);
    var said = group.querySelector("[role=status]");
    buttons.forEach(function (button) {
      button.addEventListener("click", function () {
        var shown = 0;
        all("[data-group]", target).forEach(function (item) {
          item.hidden = button.dataset.value !== "" && item.dataset.group !== button.dataset.value;
          if (!item.hidden) { shown += 1; }
        });
        pressOne(buttons, button);
        if (said) { said.textContent = shown + " shown"; }
      });
    });
  });

  all("[data-sizes]").forEach(function (group) {
    var buttons = all("button", group);
    buttons.forEach(function (button) {
      button.addEventListener("click", function () {
        var target = document.getElementById(group.dataset.sizes);
        ["s", "m", "l"].forEach(function (size) { target.classList.toggle("sized-" + size, size === button.dataset.value); });
        pressOne(buttons, button);
      });
    });
  });

  var chooser = document.getElementById("class-chooser");
  if (chooser) {
    chooser.addEventListener("change", function () {
      all("#classes > details").forEach(function (part) {
        part.hidden = chooser.value !== "" && part.dataset.group !== chooser.value;
        if (chooser.value !== "" && !part.hidden) { part.open = true; }
      });
    });
  }

  all("[data-copy]").forEach(function (button) {
    button.addEventListener("click", function () {
      var code = document.getElementById(button.dataset.copy);
      var range = document.createRange();
      range.selectNodeContents(code);
      var selection = window.getSelection();
      selection.removeAllRanges();
      selection.addRange(range);
      var done = false;
      try { done = document.execCommand("copy"); } catch (error) { done = false; }
      button.textContent = done ? "Copied" : "Selected";
    });
  });

  nameTheme();
  drawAll();
})();
