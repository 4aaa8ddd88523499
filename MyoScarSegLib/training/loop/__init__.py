"""The loop of every training: phases, their steps on one or several processes, and what is kept to go on from."""
