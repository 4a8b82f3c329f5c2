/* A value that follows another once the browser has drawn it: typing is never held up by what it causes. */

import { useEffect, useState } from "preact/hooks";

export function useDeferredValue<Value>(value: Value): Value {
  const [shown, setShown] = useState(value);
  useEffect(() => {
    const frame = requestAnimationFrame(() => setShown(value));
    return () => cancelAnimationFrame(frame);
  }, [value]);
  return shown;
}
