// What managers of this process are asked for of directories.
import { Namespace } from '../../servers/manager/namespace.js'

/** Listings that managers of this process were asked for during `body`, and the names that they gave. */
export async function listings(
  body: () => Promise<unknown>,
): Promise<{ readonly asked: number; readonly names: number }> {
  const { prototype } = Namespace
  const original = Object.getOwnPropertyDescriptor(prototype, 'readdir')
  if (original === undefined) throw new TypeError('a namespace has no readdir')
  const list = original.value as Namespace['readdir']
  let [asked, names] = [0, 0]
  prototype.readdir = async function (this: Namespace, ...request) {
    asked++
    const page = await list.apply(this, request)
    names += page.entries.length
    return page
  }
  try {
    await body()
  } finally {
    Object.defineProperty(prototype, 'readdir', original)
  }
  return { asked, names }
}
