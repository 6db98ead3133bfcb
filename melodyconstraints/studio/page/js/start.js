// The page is painted first; what it does comes after that.

requestAnimationFrame(() => setTimeout(() => import("./main.js")));
