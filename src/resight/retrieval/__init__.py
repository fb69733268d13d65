"""From images to embeddings, rankings and scores."""
