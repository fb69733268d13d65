"""Networks and what is trained with them."""
