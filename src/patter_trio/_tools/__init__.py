"""What an agent can do: tools as they are written down, and how a call of one is carried out.

Nothing here touches the network. Tools behind a web address go through a transport that is handed in (its
shape is in ``contracts.py``), so this floor serves the call above it and the edges beside it alike.
"""
