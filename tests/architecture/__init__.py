"""What the code promises about itself."""
