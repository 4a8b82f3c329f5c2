PLAIN = frozenset({"llama", "gpt2"})
