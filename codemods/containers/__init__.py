"""What holds Python source: modules, notebooks, Markdown fences."""
