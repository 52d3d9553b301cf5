import type { Money, OrderFacts, Template } from "./mail.ts";

/** What a mail says, before it has a form. */
export interface Words {
  subject: string;
  parts: Part[];
}

export type Part =
  | { text: string }
  | { button: string; href: string }
  | { table: { head: string[]; rows: string[][]; foot?: string[] } }
  | { small: string };

/** What the words are about: a link for accounts, the facts for orders. */
export interface About {
  link: string;
  order: OrderFacts;
}

export interface Language {
  tag: string;
  /** Without a name where there is none to use. */
  greeting(name?: string): string;
  goodbye: string;
  unsubscribe: string;
  /** The page that the link leads to. */
  page: {
    title: string;
    ask: string;
    button: string;
    done: string;
    back: string;
    again: string;
  };
  words: Record<Template, (about: About) => Words>;
}

const money =
  (tag: string) =>
  ({ amount, currency }: Money): string => {
    const format = new Intl.NumberFormat(tag, { style: "currency", currency });
    return format.format(amount / 10 ** (format.resolvedOptions().maximumFractionDigits ?? 2));
  };

/** The customer's own name for an order, where there is one that reads like one: it goes to an address of their choice. */
const called = ({ reference, orderId }: OrderFacts): string =>
  reference !== null && /^[\w #-]{1,40}$/.test(reference) ? reference : orderId;

const lines = (
  { lines: ordered = [], total }: OrderFacts,
  head: string[],
  sum: string,
  show: (amount: Money) => string,
): Part => ({
  table: {
    head,
    rows: ordered.map(({ sku, name = sku, quantity, unitPrice }) => [
      name,
      String(quantity),
      ...(unitPrice ? [show({ ...unitPrice, amount: unitPrice.amount * quantity })] : []),
    ]),
    ...(total ? { foot: [sum, "", show(total)] } : {}),
  },
});

/** Who brings it, and under which number it can be followed, as far as that is known. */
const tracked = ({ carrier, tracking }: OrderFacts, by: string, number: string): Part[] => [
  ...(carrier === undefined ? [] : [{ text: `${by}: ${carrier}` }]),
  ...(tracking === undefined ? [] : [{ text: `${number}: ${tracking}` }]),
];

/** Without prices. */
const pieces = ({ lines: sent = [] }: OrderFacts, head: string[]): Part => ({
  table: { head, rows: sent.map(({ sku, name = sku, quantity }) => [name, String(quantity)]) },
});

const pounds = money("en-GB");
const english: Language = {
  tag: "en",
  greeting: (name) => (name ? `Hello ${name},` : "Hello,"),
  goodbye: "Your shop",
  unsubscribe: "No more mails about the progress of your orders",
  page: {
    title: "Mails about your orders",
    ask: "Do you want no more mails about the progress of your orders? Confirmations still come.",
    button: "Unsubscribe",
    done: "You will get no more mails about the progress of your orders.",
    back: "Subscribe again",
    again: "You will get mails about the progress of your orders again.",
  },
  words: {
    "verify-email": ({ link }) => ({
      subject: "Please confirm your e-mail address",
      parts: [
        { text: "Thank you for registering. Please confirm that this address is yours." },
        { button: "Confirm address", href: link },
        { small: "The link holds for a day and works once. If you have not registered, ignore this mail." },
      ],
    }),
    "reset-password": ({ link }) => ({
      subject: "Choose a new password",
      parts: [
        { text: "Somebody, hopefully you, has asked for a new password." },
        { button: "Choose a password", href: link },
        { small: "The link holds for an hour and works once. If it was not you, nothing has changed." },
      ],
    }),
    "already-registered": ({ link }) => ({
      subject: "You are registered already",
      parts: [
        { text: "Somebody has tried to register with your address. You have an account already." },
        { text: "Have you forgotten your password? Here you can choose a new one." },
        { button: "Choose a password", href: link },
        { small: "If it was not you, ignore this mail: nothing has changed." },
      ],
    }),
    "order-confirmed": ({ order }) => ({
      subject: `Your order ${called(order)} is confirmed`,
      parts: [
        { text: `Thank you. Your order ${called(order)} is paid and confirmed.` },
        lines(order, ["Article", "Quantity", "Price"], "Total", pounds),
      ],
    }),
    "order-shipped": ({ order }) => ({
      subject: order.complete
        ? `Your order ${called(order)} is on its way`
        : `A part of your order ${called(order)} is on its way`,
      parts: [
        {
          text: order.complete
            ? `Your order ${called(order)} is on its way to you. In this parcel:`
            : `A part of your order ${called(order)} is on its way to you; the rest follows. In this parcel:`,
        },
        pieces(order, ["Article", "Quantity"]),
        ...tracked(order, "Carrier", "Tracking number"),
      ],
    }),
    "order-lines-cancelled": ({ order }) => ({
      subject: `A part of your order ${called(order)} is cancelled`,
      parts: [
        ...(order.reason === "authorisation-expired"
          ? [{ text: "The approval of your payment has run out, and your bank has not renewed it." }]
          : []),
        { text: `This part of your order ${called(order)} is cancelled, and will not be sent:` },
        pieces(order, ["Article", "Quantity"]),
        { text: "You do not pay for it. If it was charged already, you get it back." },
        ...(order.complete ? [] : [{ text: "The rest still comes." }]),
      ],
    }),
    "order-rejected": ({ order }) => ({
      subject: `Your order ${called(order)} could not be accepted`,
      parts: [
        {
          text: {
            "out-of-stock": `We are sorry: of something in your order ${called(order)} there is not enough left.`,
            "payment-declined": `We are sorry: the payment of your order ${called(order)} was declined.`,
            "timed-out": `We are sorry: the payment of your order ${called(order)} did not arrive in time.`,
            "authorisation-expired": `We are sorry: the approval of your payment of the order ${called(order)} has run out.`,
          }[order.reason ?? "timed-out"],
        },
        { text: "Nothing was charged, and nothing is reserved for you any more." },
      ],
    }),
    "order-cancelled": ({ order }) => ({
      subject: `Your order ${called(order)} is cancelled`,
      parts: [
        ...(order.reason === "authorisation-expired"
          ? [{ text: "The approval of your payment has run out, and your bank has not renewed it." }]
          : []),
        { text: `Your order ${called(order)} is cancelled. What you have paid for it goes back to you.` },
      ],
    }),
    "payment-refunded": ({ order }) => ({
      subject: `A refund for your order ${called(order)}`,
      parts: [
        {
          text: `For your order ${called(order)} we have given back ${order.total ? pounds(order.total) : ""}.`,
        },
        { small: "Depending on your bank it takes some days to arrive." },
      ],
    }),
  },
};

const euros = money("de-DE");
const german: Language = {
  tag: "de",
  greeting: (name) => (name ? `Guten Tag ${name},` : "Guten Tag,"),
  goodbye: "Ihr Shop",
  unsubscribe: "Keine Mails mehr zum Stand Ihrer Bestellungen",
  page: {
    title: "Mails zu Ihren Bestellungen",
    ask: "Möchten Sie keine Mails mehr zum Stand Ihrer Bestellungen? Bestätigungen kommen weiterhin.",
    button: "Abbestellen",
    done: "Sie bekommen keine Mails mehr zum Stand Ihrer Bestellungen.",
    back: "Wieder bestellen",
    again: "Sie bekommen wieder Mails zum Stand Ihrer Bestellungen.",
  },
  words: {
    "verify-email": ({ link }) => ({
      subject: "Bitte bestätigen Sie Ihre E-Mail-Adresse",
      parts: [
        { text: "Danke für Ihre Anmeldung. Bitte bestätigen Sie, dass diese Adresse Ihre ist." },
        { button: "Adresse bestätigen", href: link },
        {
          small:
            "Der Link gilt einen Tag und nur einmal. Haben Sie sich nicht angemeldet, ist nichts weiter zu tun.",
        },
      ],
    }),
    "reset-password": ({ link }) => ({
      subject: "Wählen Sie ein neues Passwort",
      parts: [
        { text: "Jemand, hoffentlich Sie, hat um ein neues Passwort gebeten." },
        { button: "Passwort wählen", href: link },
        { small: "Der Link gilt eine Stunde und nur einmal. Waren Sie es nicht, hat sich nichts geändert." },
      ],
    }),
    "already-registered": ({ link }) => ({
      subject: "Sie sind schon angemeldet",
      parts: [
        { text: "Jemand wollte sich mit Ihrer Adresse anmelden. Sie haben bereits ein Konto." },
        { text: "Haben Sie Ihr Passwort vergessen? Hier können Sie ein neues wählen." },
        { button: "Passwort wählen", href: link },
        { small: "Waren Sie es nicht, ist nichts weiter zu tun: Es hat sich nichts geändert." },
      ],
    }),
    "order-confirmed": ({ order }) => ({
      subject: `Ihre Bestellung ${called(order)} ist bestätigt`,
      parts: [
        { text: `Vielen Dank. Ihre Bestellung ${called(order)} ist bezahlt und bestätigt.` },
        lines(order, ["Artikel", "Menge", "Preis"], "Summe", euros),
      ],
    }),
    "order-shipped": ({ order }) => ({
      subject: order.complete
        ? `Ihre Bestellung ${called(order)} ist unterwegs`
        : `Ein Teil Ihrer Bestellung ${called(order)} ist unterwegs`,
      parts: [
        {
          text: order.complete
            ? `Ihre Bestellung ${called(order)} ist zu Ihnen unterwegs. In diesem Paket:`
            : `Ein Teil Ihrer Bestellung ${called(order)} ist zu Ihnen unterwegs, der Rest folgt. In diesem Paket:`,
        },
        pieces(order, ["Artikel", "Menge"]),
        ...tracked(order, "Versand", "Sendungsnummer"),
      ],
    }),
    "order-lines-cancelled": ({ order }) => ({
      subject: `Ein Teil Ihrer Bestellung ${called(order)} ist storniert`,
      parts: [
        ...(order.reason === "authorisation-expired"
          ? [{ text: "Die Freigabe Ihrer Zahlung ist abgelaufen, und Ihre Bank hat sie nicht erneuert." }]
          : []),
        { text: `Dieser Teil Ihrer Bestellung ${called(order)} ist storniert und wird nicht verschickt:` },
        pieces(order, ["Artikel", "Menge"]),
        { text: "Sie bezahlen ihn nicht. Was schon abgebucht wurde, bekommen Sie zurück." },
        ...(order.complete ? [] : [{ text: "Der Rest kommt weiterhin." }]),
      ],
    }),
    "order-rejected": ({ order }) => ({
      subject: `Ihre Bestellung ${called(order)} konnte nicht angenommen werden`,
      parts: [
        {
          text: {
            "out-of-stock": `Es tut uns leid: Von etwas in Ihrer Bestellung ${called(order)} ist nicht mehr genug da.`,
            "payment-declined": `Es tut uns leid: Die Zahlung Ihrer Bestellung ${called(order)} wurde abgelehnt.`,
            "timed-out": `Es tut uns leid: Die Zahlung Ihrer Bestellung ${called(order)} kam nicht rechtzeitig an.`,
            "authorisation-expired": `Es tut uns leid: Die Freigabe Ihrer Zahlung der Bestellung ${called(order)} ist abgelaufen.`,
          }[order.reason ?? "timed-out"],
        },
        { text: "Es wurde nichts abgebucht, und es ist nichts mehr für Sie zurückgelegt." },
      ],
    }),
    "order-cancelled": ({ order }) => ({
      subject: `Ihre Bestellung ${called(order)} ist storniert`,
      parts: [
        ...(order.reason === "authorisation-expired"
          ? [{ text: "Die Freigabe Ihrer Zahlung ist abgelaufen, und Ihre Bank hat sie nicht erneuert." }]
          : []),
        {
          text: `Ihre Bestellung ${called(order)} ist storniert. Was Sie dafür bezahlt haben, bekommen Sie zurück.`,
        },
      ],
    }),
    "payment-refunded": ({ order }) => ({
      subject: `Eine Erstattung zu Ihrer Bestellung ${called(order)}`,
      parts: [
        {
          text: `Zu Ihrer Bestellung ${called(order)} haben wir ${order.total ? euros(order.total) : ""} erstattet.`,
        },
        { small: "Je nach Bank dauert es einige Tage, bis es ankommt." },
      ],
    }),
  },
};

const languages: Language[] = [english, german];

/** The language of a BCP 47 tag or an Accept-Language header's first choice; English where there is no other. */
export const languageOf = (tag: string | null | undefined): Language =>
  languages.find((one) => one.tag === tag?.trim().slice(0, 2).toLowerCase()) ?? english;
