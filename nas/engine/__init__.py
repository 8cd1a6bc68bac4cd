"""Floor 4: what runs the models: bilevel gradients, the search loop, costs."""
