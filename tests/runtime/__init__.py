"""The runtime: from bytes to verdict, one transaction a group, nothing lost, nothing twice."""
