import { render } from "preact";
import { App } from "./app";
import { readReport } from "./data";
import "./style.css";

const place = document.getElementById("page");
if (place !== null) {
  place.textContent = "";
  render(<App report={readReport()} />, place);
}
