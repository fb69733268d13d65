"""What an encoder's head is made of."""
