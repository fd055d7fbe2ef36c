package graph

// Gorgonia's own version of this package panics at start on Go releases that it
// does not know. The import keeps the newer one of our go.mod a direct
// requirement, which programs that import gorget inherit.
import _ "go4.org/unsafe/assume-no-moving-gc"
