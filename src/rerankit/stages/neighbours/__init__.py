"""Items that are alike speak for each other: graphs, means and shares of neighbours, and how much say they get."""
