"""From images to answers: embeddings, rankings, scores."""
