package gptblock

import "github.com/gorget/gorget/internal/kernel"

// network is a model over rows of new tokens: the linear layers see those of
// all sequences at once, attention each sequence with its own past.
type network[T kernel.Float] struct {
	c                 Config // with defaults
	tokens, positions []T    // (V,C), (Context,C); positions is nil with RoPE
	blocks            []decoderBlock[T]
	norm              *normalizer[T]
	head              matrix[T]
	rope              *kernel.RoPETable[T] // nil with learned positions
	visible           []bool               // (B,Context) false: a pad token; nil if there are none
	scratch           scratch[T]
}

// scratch is memory that all layers use one after another. It grows to the
// largest piece and is kept.
type scratch[T kernel.Float] struct {
	few                  bool // the rows are few: see matrix.apply
	x, normed, branch    []T  // (N,C)
	qkv, attended        []T  // (N,(H+2K)D), (N,HD)
	hidden, gate         []T  // (N,F), or (S,F) of an expert's slots
	last, logits         []T  // (sequences,C), (sequences,V)
	mean, rstd           []T  // (N)
	scores, probs, gates []T  // (N,E)
	chosen               []int32
	slots, results       []T // (S,C)
	dispatch             kernel.Dispatch[T]
}

// decoderBlock is a Block with the keys and values that it has seen.
type decoderBlock[T kernel.Float] struct {
	kind               BlockKind
	attnNorm, attnPost *normalizer[T] // attnPost and mlpPost are nil without a sandwich
	mlpNorm, mlpPost   *normalizer[T] // mlpNorm is nil in a parallel block
	attn               decoderAttention[T]
	mlp                feedForward[T]
}

func newNetwork[T kernel.Float](m *Model, batch int) (*network[T], error) {
	c := m.Config.withDefaults()
	r := &weightReader[T]{}
	n := &network[T]{
		c: c, tokens: r.of(m.Tokens.Table), norm: readNorm(r, m.Norm),
		head: matrix[T]{in: c.Channels, out: c.Vocab, outIn: true, w: r.of(m.Head)},
	}
	if m.Positions != nil {
		n.positions = r.of(m.Positions.Table)
	} else {
		n.rope = kernel.NewRoPETable[T](c.Context, c.HeadSize, c.RoPETheta)
	}
	if c.PadToken != nil {
		n.visible = make([]bool, batch*c.Context)
	}
	for i, b := range m.Blocks {
		n.blocks = append(n.blocks, decoderBlock[T]{
			kind: b.Kind, attnNorm: readNorm(r, b.AttnNorm), attnPost: readNorm(r, b.AttnPost),
			mlpNorm: readNorm(r, b.MLPNorm), mlpPost: readNorm(r, b.MLPPost),
			attn: readAttention(r, b.Attn, c, batch, c.window(i)), mlp: readFeedForward(r, b.MLP),
		})
	}
	return n, r.err
}

func (n *network[T]) forget(sequence int) {
	for i := range n.blocks {
		n.blocks[i].attn.cache.forget(sequence)
	}
}

// run sends the new tokens through the model and sets the logits of the spans
// that are a sequence's last.
func (n *network[T]) run(ids []int32, spans []span, logits [][]float64, few bool) {
	rows, c, w := len(ids), n.c.Channels, &n.scratch
	w.few = few
	w.x = resize(w.x, rows*c)
	w.normed, w.branch = resize(w.normed, rows*c), resize(w.branch, rows*c)
	n.embed(ids, spans)
	for i := range n.blocks {
		n.block(&n.blocks[i], rows, spans)
	}
	n.readOut(spans, logits)
}

// embed sets x to scale table[id] + positions[position].
func (n *network[T]) embed(ids []int32, spans []span) {
	c, x := n.c.Channels, n.scratch.x
	kernel.Embedding(x, n.tokens, ids, c)
	if n.c.EmbeddingScale != 1 {
		kernel.Scale(x, T(n.c.EmbeddingScale), x)
	}
	for _, s := range spans {
		if n.positions != nil {
			kernel.AddTo(x[s.lo*c:s.hi*c], n.positions[s.past*c:])
		}
		if n.visible != nil {
			for i, id := range ids[s.lo:s.hi] {
				n.visible[s.sequence*n.c.Context+s.past+i] = int(id) != *n.c.PadToken
			}
		}
	}
}

// block adds the branches of a block to x, as [Block.Forward] does.
func (n *network[T]) block(b *decoderBlock[T], rows int, spans []span) {
	w := &n.scratch
	x, normed, branch := w.x, w.normed, w.branch // (N,C)
	b.attnNorm.apply(w, normed, x, rows)
	if b.kind == BlockParallel {
		b.mlp.apply(w, branch, normed, rows)
		kernel.AddTo(x, branch)
		n.attend(&b.attn, branch, normed, rows, spans)
		kernel.AddTo(x, branch)
		return
	}
	n.attend(&b.attn, branch, normed, rows, spans)
	if b.attnPost != nil {
		b.attnPost.apply(w, branch, branch, rows)
	}
	kernel.AddTo(x, branch)
	b.mlpNorm.apply(w, normed, x, rows)
	b.mlp.apply(w, branch, normed, rows)
	if b.mlpPost != nil {
		b.mlpPost.apply(w, branch, branch, rows)
	}
	kernel.AddTo(x, branch)
}

// readOut computes the logits of the last tokens, and of no others.
func (n *network[T]) readOut(spans []span, logits [][]float64) {
	c, v, w := n.c.Channels, n.c.Vocab, &n.scratch
	w.last = w.last[:0]
	for _, s := range spans {
		if s.last {
			w.last = append(w.last, w.x[(s.hi-1)*c:s.hi*c]...)
		}
	}
	rows := len(w.last) / c
	w.logits = resize(w.logits, rows*v)
	z := w.logits
	n.norm.apply(w, w.last, w.last, rows) // (sequences,C)
	n.head.apply(w, z, w.last, rows)      // (sequences,V)
	if n.c.LogitScale != 1 {
		kernel.Scale(z, T(n.c.LogitScale), z)
	}
	if n.c.LogitSoftCap > 0 {
		kernel.SoftCap(z, z, T(n.c.LogitSoftCap))
	}
	for _, s := range spans {
		if s.last {
			for i, l := range z[:v] {
				logits[s.sequence][i] = float64(l)
			}
			z = z[v:]
		}
	}
}
