// Set the theme before the first paint: "system", "light" or "dark". A plain script, since modules run late.
(() => {
  const THEMES = ["system", "light", "dark"];
  const kept = () => {
    try {
      const theme = localStorage.getItem("theme");
      return THEMES.includes(theme) ? theme : "system";
    } catch {
      return "system"; // storage may be forbidden
    }
  };
  const show = (theme) => {
    document.documentElement.dataset.theme = theme;
    const button = document.getElementById("theme");
    if (button) button.textContent = `Theme: ${theme}`;
  };
  show(kept());
  document.addEventListener("DOMContentLoaded", () => {
    show(document.documentElement.dataset.theme);
    document.getElementById("theme").addEventListener("click", () => {
      const next = THEMES[(THEMES.indexOf(document.documentElement.dataset.theme) + 1) % THEMES.length];
      try {
        localStorage.setItem("theme", next);
      } catch {
        // The choice lasts as long as the page.
      }
      show(next);
      document.dispatchEvent(new Event("themechange"));
    });
  });
})();
