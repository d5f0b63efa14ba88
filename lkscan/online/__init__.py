"""All that uses the network: it is imported only when the user asks for it, and needs the extra `online`."""
