"""What the events of one saga instance mean; pure functions over what was heard."""
