;; What a compiler makes, before anybody wrapped it as a component.
(module (func (export "decide")))
